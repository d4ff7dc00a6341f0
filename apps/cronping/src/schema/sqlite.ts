import { sql } from "drizzle-orm";
import {
  blob,
  customType,
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";

/*
 * The declared types are part of the schema, since SQLite takes a column's affinity from them.
 * What drizzle has no words for (COLLATE, CHECK, WITHOUT ROWID, the view) stands in sqlite.sql.
 */
const boolean = customType<{ data: number }>({ dataType: () => "BOOLEAN" });
const smallint = customType<{ data: number }>({ dataType: () => "SMALLINT" });
const varchar200 = customType<{ data: string }>({ dataType: () => "VARCHAR(200)" });

export const users = sqliteTable("users", {
  id: integer().primaryKey({ autoIncrement: true }),
  email: text().notNull().unique(),
  apiKey: text("api_key").unique(),
  plan: text().notNull().default("free"),
  createdAt: text("created_at").notNull().default(sql`CURRENT_TIMESTAMP`),
});

export const projects = sqliteTable("projects", {
  id: integer().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  pingKey: text("ping_key"),
});

export const monitors = sqliteTable(
  "monitors",
  {
    id: integer().primaryKey(),
    code: text().notNull().unique(),
    projectId: integer("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    name: text().notNull().default(""),
    slug: text().notNull().default(""),
    tags: text().notNull().default(""),
    kind: text({ enum: ["simple", "cron"] })
      .notNull()
      .default("simple"),
    timeoutS: integer("timeout_s").notNull().default(86_400),
    graceS: integer("grace_s").notNull().default(3_600),
    schedule: text(),
    tz: text().notNull().default("UTC"),
    status: text({ enum: ["new", "up", "down", "paused"] })
      .notNull()
      .default("new"),
    nPings: integer("n_pings").notNull().default(0),
    lastPing: text("last_ping"),
    lastStart: text("last_start"),
    lastDurationMs: real("last_duration_ms"),
    alertAfter: integer("alert_after"),
    manualResume: boolean("manual_resume").notNull().default(0),
  },
  (monitor) => [
    index("monitors_due").on(monitor.alertAfter).where(sql`status <> 'down'`),
    uniqueIndex("monitors_slug").on(monitor.projectId, monitor.slug).where(sql`slug <> ''`),
  ],
);

export const pings = sqliteTable(
  "pings",
  {
    id: integer().primaryKey(),
    monitorId: integer("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    n: integer().notNull(),
    createdAt: integer("created_at").notNull(),
    kind: text().notNull().default("success"),
    method: text(),
    remoteAddr: text("remote_addr"),
    ua: varchar200(),
    body: blob({ mode: "buffer" }),
    exitstatus: smallint(),
  },
  (ping) => [uniqueIndex("pings_monitor_n").on(ping.monitorId, sql`${ping.n} DESC`)],
);

export const flips = sqliteTable(
  "flips",
  {
    id: integer().primaryKey(),
    monitorId: integer("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    createdAt: integer("created_at").notNull(),
    oldStatus: text("old_status").notNull(),
    newStatus: text("new_status").notNull(),
  },
  (flip) => [index("flips_monitor").on(flip.monitorId)],
);

export const channels = sqliteTable("channels", {
  id: integer().primaryKey(),
  code: text().notNull().unique(),
  projectId: integer("project_id")
    .notNull()
    .references(() => projects.id, { onDelete: "cascade" }),
  kind: text().notNull(),
  value: text().notNull().default("{}"),
  disabled: boolean().notNull().default(0),
});

export const monitorChannels = sqliteTable(
  "monitor_channels",
  {
    monitorId: integer("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    channelId: integer("channel_id")
      .notNull()
      .references(() => channels.id, { onDelete: "cascade" }),
  },
  (pair) => [primaryKey({ columns: [pair.monitorId, pair.channelId] })],
);

export const notifications = sqliteTable(
  "notifications",
  {
    id: integer().primaryKey(),
    monitorId: integer("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    channelId: integer("channel_id")
      .notNull()
      .references(() => channels.id, { onDelete: "cascade" }),
    createdAt: integer("created_at").notNull(),
    error: text().notNull().default(""),
  },
  (notification) => [index("notifications_monitor").on(notification.monitorId)],
);

export const activity = sqliteTable("activity", {
  id: integer().primaryKey({ autoIncrement: true }),
  action: text().notNull(),
  at: text().notNull(),
});
