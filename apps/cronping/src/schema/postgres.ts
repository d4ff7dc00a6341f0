import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const id = () => bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity();
const number = (name: string) => bigint(name, { mode: "number" });
const instant = (name: string) => timestamp(name, { withTimezone: true });

export const users = pgTable("users", {
  id: id(),
  email: text().notNull(),
  apiKey: uuid("api_key").unique(),
  plan: text().notNull().default("free"),
  createdAt: timestamp("created_at")
    .notNull()
    .default(sql`date_trunc('second', now() AT TIME ZONE 'UTC')`),
});

export const projects = pgTable("projects", {
  id: id(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  pingKey: text("ping_key"),
});

export const monitors = pgTable(
  "monitors",
  {
    id: id(),
    code: uuid().notNull().unique(),
    projectId: number("project_id")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    name: text().notNull().default(""),
    slug: text().notNull().default(""),
    tags: text().notNull().default(""),
    kind: text({ enum: ["simple", "cron"] })
      .notNull()
      .default("simple"),
    timeoutS: number("timeout_s").notNull().default(86_400),
    graceS: number("grace_s").notNull().default(3_600),
    schedule: text(),
    tz: text().notNull().default("UTC"),
    status: text({ enum: ["new", "up", "down", "paused"] })
      .notNull()
      .default("new"),
    nPings: number("n_pings").notNull().default(0),
    lastPing: instant("last_ping"),
    lastStart: timestamp("last_start"),
    lastDurationMs: doublePrecision("last_duration_ms"),
    alertAfter: instant("alert_after"),
    manualResume: boolean("manual_resume").notNull().default(false),
  },
  (monitor) => [
    index("monitors_due").on(monitor.alertAfter).where(sql`status <> 'down'`),
    uniqueIndex("monitors_slug").on(monitor.projectId, monitor.slug).where(sql`slug <> ''`),
  ],
);

export const pings = pgTable(
  "pings",
  {
    id: id(),
    monitorId: number("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    n: number("n").notNull(),
    createdAt: instant("created_at").notNull(),
    kind: text().notNull().default("success"),
    method: text(),
    remoteAddr: text("remote_addr"),
    ua: text(),
    body: bytea(),
    exitstatus: number("exitstatus"),
  },
  (ping) => [uniqueIndex("pings_monitor_n").on(ping.monitorId, ping.n.desc())],
);

export const flips = pgTable(
  "flips",
  {
    id: id(),
    monitorId: number("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    createdAt: instant("created_at").notNull(),
    oldStatus: text("old_status").notNull(),
    newStatus: text("new_status").notNull(),
  },
  (flip) => [index("flips_monitor").on(flip.monitorId)],
);

export const channels = pgTable("channels", {
  id: id(),
  code: uuid().notNull().unique(),
  projectId: number("project_id")
    .notNull()
    .references(() => projects.id, { onDelete: "cascade" }),
  kind: text().notNull(),
  value: json().notNull().default({}),
  // Old rows say 'true' and 't' beside 0 and 1.
  disabled: text().notNull(),
});

export const monitorChannels = pgTable(
  "monitor_channels",
  {
    monitorId: number("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    channelId: number("channel_id")
      .notNull()
      .references(() => channels.id, { onDelete: "cascade" }),
  },
  (pair) => [primaryKey({ columns: [pair.monitorId, pair.channelId] })],
);

export const notifications = pgTable(
  "notifications",
  {
    id: id(),
    monitorId: number("monitor_id")
      .notNull()
      .references(() => monitors.id, { onDelete: "cascade" }),
    channelId: number("channel_id")
      .notNull()
      .references(() => channels.id, { onDelete: "cascade" }),
    createdAt: instant("created_at").notNull(),
    error: text().notNull().default(""),
  },
  (notification) => [index("notifications_monitor").on(notification.monitorId)],
);

export const activity = pgTable("activity", {
  id: id(),
  action: text().notNull(),
  at: instant("at").notNull(),
});
