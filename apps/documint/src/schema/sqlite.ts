import { sql } from "drizzle-orm";
import {
  blob,
  customType,
  index,
  integer,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";

/*
 * The declared types are part of the schema, since SQLite takes a column's affinity from them.
 * What drizzle has no words for (CHECK and the view) stands in sqlite.sql.
 */
const boolean = customType<{ data: number }>({ dataType: () => "BOOLEAN" });
const date = customType<{ data: string }>({ dataType: () => "DATE" });
const decimal = customType<{ data: number }>({ dataType: () => "DECIMAL(10, 2)" });
const json = customType<{ data: string }>({ dataType: () => "JSON" });
const char3 = customType<{ data: string }>({ dataType: () => "CHAR(3)" });
const timestamp = customType<{ data: string }>({ dataType: () => "TIMESTAMP" });

export const users = sqliteTable(
  "users",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    email: text().notNull(),
    name: text(),
    storageLimit: integer("storage_limit").notNull().default(1_073_741_824),
    createdAt: timestamp("created_at").notNull().default(sql`CURRENT_TIMESTAMP`),
  },
  (user) => [uniqueIndex("users_email").on(sql`lower(${user.email})`)],
);

export const apiKeys = sqliteTable("api_keys", {
  id: integer().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  prefix: text().notNull(),
  hash: blob({ mode: "buffer" }).notNull().unique(),
  scopes: text().notNull().default(""),
  lastUsedAt: integer("last_used_at"),
  revokedAt: integer("revoked_at"),
});

export const templates = sqliteTable("templates", {
  id: text().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  engine: text().notNull().default("handlebars"),
  currentVersion: integer("current_version").notNull().default(0),
});

export const templateVersions = sqliteTable(
  "template_versions",
  {
    id: integer().primaryKey(),
    templateId: text("template_id")
      .notNull()
      .references(() => templates.id, { onDelete: "cascade" }),
    version: integer().notNull(),
    html: text().notNull(),
    css: text().notNull().default(""),
    sample: json(),
    sha256: text().notNull(),
  },
  (version) => [unique().on(version.templateId, version.version)],
);

export const documents = sqliteTable(
  "documents",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    templateVersionId: integer("template_version_id")
      .notNull()
      .references(() => templateVersions.id),
    status: text({ enum: ["queued", "rendering", "done", "failed"] })
      .notNull()
      .default("queued"),
    input: json().notNull(),
    output: blob({ mode: "buffer" }),
    outputPath: text("output_path"),
    pages: integer(),
    bytes: integer(),
    createdAt: timestamp("created_at").notNull(),
    finishedAt: timestamp("finished_at"),
  },
  (document) => [
    index("documents_newest").on(sql`${document.createdAt} DESC`, document.id),
    index("documents_waiting").on(document.id).where(sql`status IN ('queued', 'rendering')`),
  ],
);

export const assets = sqliteTable("assets", {
  id: integer().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  filename: text().notNull(),
  mime: text().notNull().default("application/octet-stream"),
  data: blob({ mode: "buffer" }).notNull(),
});

export const invoices = sqliteTable("invoices", {
  id: integer().primaryKey({ autoIncrement: true }),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id),
  amount: decimal().notNull(),
  currency: char3().notNull().default("EUR"),
  periodStart: date("period_start").notNull(),
  paid: boolean().notNull().default(sql`FALSE`),
  totalCents: integer("total_cents").generatedAlwaysAs(sql`CAST(ROUND(amount * 100) AS INTEGER)`, {
    mode: "stored",
  }),
});

export const webhooks = sqliteTable("webhooks", {
  id: integer().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  url: text().notNull(),
  events: json().notNull().default("[]"),
});

export const activity = sqliteTable("activity", {
  id: integer().primaryKey({ autoIncrement: true }),
  action: text().notNull(),
  at: text().notNull(),
});
