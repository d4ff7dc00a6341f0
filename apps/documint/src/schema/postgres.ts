import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  date,
  index,
  json,
  numeric,
  pgTable,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const id = () => bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity();
const number = (name: string) => bigint(name, { mode: "number" });

export const users = pgTable(
  "users",
  {
    id: id(),
    email: text().notNull(),
    name: text(),
    storageLimit: bigint("storage_limit", { mode: "bigint" }).notNull().default(1_073_741_824n),
    createdAt: timestamp("created_at")
      .notNull()
      .default(sql`date_trunc('second', now() AT TIME ZONE 'UTC')`),
  },
  (user) => [uniqueIndex("users_email").on(sql`lower(${user.email})`)],
);

export const apiKeys = pgTable("api_keys", {
  id: id(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  prefix: text().notNull(),
  hash: bytea().notNull().unique(),
  scopes: text().notNull().default(""),
  lastUsedAt: number("last_used_at"),
  revokedAt: number("revoked_at"),
});

export const templates = pgTable("templates", {
  id: uuid().primaryKey(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  engine: text().notNull().default("handlebars"),
  currentVersion: number("current_version").notNull().default(0),
});

export const templateVersions = pgTable(
  "template_versions",
  {
    id: id(),
    templateId: uuid("template_id")
      .notNull()
      .references(() => templates.id, { onDelete: "cascade" }),
    version: number("version").notNull(),
    html: text().notNull(),
    css: text().notNull().default(""),
    sample: json(),
    sha256: text().notNull(),
  },
  (version) => [unique().on(version.templateId, version.version)],
);

export const documents = pgTable(
  "documents",
  {
    id: id(),
    templateVersionId: number("template_version_id")
      .notNull()
      .references(() => templateVersions.id),
    status: text({ enum: ["queued", "rendering", "done", "failed"] })
      .notNull()
      .default("queued"),
    input: json().notNull(),
    output: bytea(),
    outputPath: text("output_path"),
    pages: number("pages"),
    bytes: number("bytes"),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
    // Old rows hold seconds since 1970 and other spellings of an instant: kept as they are.
    finishedAt: text("finished_at"),
  },
  (document) => [
    index("documents_newest").on(document.createdAt.desc(), document.id),
    index("documents_waiting").on(document.id).where(sql`status IN ('queued', 'rendering')`),
  ],
);

export const assets = pgTable("assets", {
  id: id(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  filename: text().notNull(),
  mime: text().notNull().default("application/octet-stream"),
  data: bytea().notNull(),
});

export const invoices = pgTable("invoices", {
  id: id(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id),
  amount: numeric().notNull(),
  currency: text().notNull().default("EUR"),
  periodStart: date("period_start").notNull(),
  paid: boolean().notNull().default(false),
  totalCents: number("total_cents").generatedAlwaysAs(sql`CAST(ROUND(amount * 100) AS bigint)`),
});

export const webhooks = pgTable("webhooks", {
  id: id(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  url: text().notNull(),
  events: json().notNull().default([]),
});

export const activity = pgTable("activity", {
  id: id(),
  action: text().notNull(),
  at: timestamp({ withTimezone: true }).notNull(),
});
