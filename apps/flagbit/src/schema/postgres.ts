import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  date,
  foreignKey,
  index,
  json,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const id = () => bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity();
const number = (name: string) => bigint(name, { mode: "number" });

export const organisations = pgTable("organisations", {
  id: id(),
  name: text().notNull(),
  createdAt: timestamp("created_at")
    .notNull()
    .default(sql`date_trunc('second', now() AT TIME ZONE 'UTC')`),
});

export const projects = pgTable("projects", {
  id: text().primaryKey(),
  orgId: number("org_id")
    .notNull()
    .references(() => organisations.id),
  name: text().notNull(),
});

export const environments = pgTable(
  "environments",
  {
    id: id(),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    sdkKeyHash: bytea().notNull(),
    default: number("default").notNull().default(0),
  },
  (environment) => [unique().on(environment.projectId, environment.key)],
);

export const flags = pgTable(
  "flags",
  {
    id: id(),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    type: text({ enum: ["boolean", "string", "number", "json"] }).notNull(),
    description: text(),
    archived: boolean().notNull().default(false),
    createdAt: timestamp("created_at", { withTimezone: true })
      .notNull()
      .default(sql`date_trunc('milliseconds', now())`),
  },
  (flag) => [
    unique().on(flag.projectId, flag.key),
    index("flags_by_lower_key").on(sql`lower(${flag.key})`),
  ],
);

export const flagStates = pgTable(
  "flag_states",
  {
    flagId: number("flag_id")
      .notNull()
      .references(() => flags.id, { onDelete: "cascade" }),
    environmentId: number("environment_id")
      .notNull()
      .references(() => environments.id, { onDelete: "cascade" }),
    enabled: boolean().notNull().default(false),
    rolloutPct: numeric("rollout_pct").notNull().default("100"),
    // JSON in SQLite is a NUMERIC column: a flag's 42 is kept as a number among the texts.
    defaultValue: text("default_value"),
    version: number("version").notNull().default(1),
  },
  (state) => [primaryKey({ columns: [state.flagId, state.environmentId] })],
);

export const segments = pgTable(
  "segments",
  {
    id: id(),
    projectId: text("project_id")
      .notNull()
      .references(() => projects.id),
    key: text().notNull(),
    rules: json().notNull().default([]),
  },
  (segment) => [unique().on(segment.projectId, segment.key)],
);

export const rules = pgTable(
  "rules",
  {
    id: id(),
    flagId: number("flag_id").notNull(),
    environmentId: number("environment_id").notNull(),
    order: number("order").notNull(),
    clauses: json().notNull(),
    segmentId: number("segment_id").references(() => segments.id, { onDelete: "set null" }),
  },
  (rule) => [
    foreignKey({
      columns: [rule.flagId, rule.environmentId],
      foreignColumns: [flagStates.flagId, flagStates.environmentId],
    }).onDelete("cascade"),
    index("rules_in_order").on(rule.flagId, rule.environmentId, rule.order),
  ],
);

export const auditLog = pgTable("audit_log", {
  id: id(),
  actor: text(),
  action: text().notNull(),
  before: json(),
  after: json(),
  at: number("at").notNull(),
});

export const evaluationsDaily = pgTable(
  "evaluations_daily",
  {
    flagId: number("flag_id")
      .notNull()
      .references(() => flags.id, { onDelete: "cascade" }),
    day: date().notNull(),
    variant: text().notNull(),
    count: number("count").notNull(),
  },
  (evaluation) => [
    primaryKey({ columns: [evaluation.flagId, evaluation.day, evaluation.variant] }),
  ],
);
