import { sql } from "drizzle-orm";
import {
  blob,
  customType,
  foreignKey,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  unique,
} from "drizzle-orm/sqlite-core";

/*
 * The declared types are part of the schema, since SQLite takes a column's affinity from them.
 * What drizzle has no words for (STRICT, CHECK, DEFERRABLE, WITHOUT ROWID, trigger and view)
 * stands in sqlite.sql.
 */
const boolean = customType<{ data: number }>({ dataType: () => "BOOLEAN" });
const datetime = customType<{ data: string }>({ dataType: () => "DATETIME" });
const json = customType<{ data: string }>({ dataType: () => "JSON" });
const percentage = customType<{ data: number }>({ dataType: () => "NUMERIC(5, 2)" });
const untyped = customType<{ data: number | string }>({ dataType: () => "" });

export const organisations = sqliteTable("organisations", {
  id: integer().primaryKey(),
  name: text().notNull(),
  createdAt: datetime("created_at").notNull().default(sql`(datetime('now'))`),
});

export const projects = sqliteTable("projects", {
  id: text().primaryKey(),
  orgId: integer("org_id")
    .notNull()
    .references(() => organisations.id),
  name: text().notNull(),
});

export const environments = sqliteTable(
  "environments",
  {
    id: integer().primaryKey(),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    sdkKeyHash: blob({ mode: "buffer" }).notNull(),
    default: integer().notNull().default(0),
  },
  (environment) => [unique().on(environment.projectId, environment.key)],
);

export const flags = sqliteTable(
  "flags",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    type: text({ enum: ["boolean", "string", "number", "json"] }).notNull(),
    description: text(),
    archived: boolean().notNull().default(sql`FALSE`),
    createdAt: datetime("created_at")
      .notNull()
      .default(sql`(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`),
  },
  (flag) => [
    unique().on(flag.projectId, flag.key),
    index("flags_by_lower_key").on(sql`lower(${flag.key})`),
  ],
);

export const flagStates = sqliteTable(
  "flag_states",
  {
    flagId: integer("flag_id")
      .notNull()
      .references(() => flags.id, { onDelete: "cascade" }),
    environmentId: integer("environment_id")
      .notNull()
      .references(() => environments.id, { onDelete: "cascade" }),
    enabled: boolean().notNull().default(0),
    rolloutPct: percentage("rollout_pct").notNull().default(100),
    defaultValue: json("default_value"),
    version: integer().notNull().default(1),
  },
  (state) => [primaryKey({ columns: [state.flagId, state.environmentId] })],
);

export const segments = sqliteTable(
  "segments",
  {
    id: integer().primaryKey(),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    rules: json().notNull().default("[]"),
  },
  (segment) => [unique().on(segment.projectId, segment.key)],
);

export const rules = sqliteTable(
  "rules",
  {
    id: integer().primaryKey(),
    flagId: integer("flag_id").notNull(),
    environmentId: integer("environment_id").notNull(),
    order: integer().notNull(),
    clauses: json().notNull(),
    segmentId: integer("segment_id").references(() => segments.id, { onDelete: "set null" }),
  },
  (rule) => [
    foreignKey({
      columns: [rule.flagId, rule.environmentId],
      foreignColumns: [flagStates.flagId, flagStates.environmentId],
    }).onDelete("cascade"),
    index("rules_in_order").on(rule.flagId, rule.environmentId, rule.order),
  ],
);

export const auditLog = sqliteTable("audit_log", {
  id: integer().primaryKey(),
  actor: untyped(),
  action: text().notNull(),
  before: json(),
  after: json(),
  at: integer().notNull(),
});

export const evaluationsDaily = sqliteTable(
  "evaluations_daily",
  {
    flagId: integer("flag_id")
      .notNull()
      .references(() => flags.id, { onDelete: "cascade" }),
    day: text().notNull(),
    variant: text().notNull(),
    count: integer().notNull(),
  },
  (evaluation) => [
    primaryKey({ columns: [evaluation.flagId, evaluation.day, evaluation.variant] }),
  ],
);
