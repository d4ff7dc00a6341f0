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
} from "drizzle-orm/sqlite-core";

/*
 * The declared types are part of the schema, since SQLite takes a column's affinity from them.
 * What drizzle has no words for (the full-text index and its triggers) stands in sqlite.sql.
 */
const json = customType<{ data: string }>({ dataType: () => "JSON" });

export const users = sqliteTable("users", {
  id: integer().primaryKey({ autoIncrement: true }),
  email: text().notNull().unique(),
  name: text(),
});

export const endpoints = sqliteTable("endpoints", {
  id: text().primaryKey(),
  userId: integer("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  responseStatus: integer("response_status").notNull().default(200),
  responseHeaders: json("response_headers").notNull().default("{}"),
  responseBody: text("response_body").notNull().default(""),
  forwardUrl: text("forward_url"),
  secret: text().default(sql`(lower(hex(randomblob(16))))`),
  expiresAt: integer("expires_at"),
});

export const requests = sqliteTable(
  "requests",
  {
    id: integer().primaryKey(),
    endpointId: text("endpoint_id")
      .notNull()
      .references(() => endpoints.id, { onDelete: "cascade" }),
    uuid: text().notNull().unique(),
    method: text().notNull(),
    path: text().notNull(),
    query: json(),
    headers: json().notNull(),
    contentType: text("content_type"),
    body: blob({ mode: "buffer" }),
    bodySize: integer("body_size").notNull(),
    ip: text(),
    receivedAt: real("received_at").notNull(),
  },
  (request) => [index("requests_newest").on(request.endpointId, sql`${request.receivedAt} DESC`)],
);

export const forwards = sqliteTable(
  "forwards",
  {
    id: integer().primaryKey(),
    requestId: integer("request_id")
      .notNull()
      .references(() => requests.id, { onDelete: "cascade" }),
    attempt: integer().notNull(),
    url: text().notNull(),
    status: integer(),
    durationMs: real("duration_ms"),
    error: text(),
    upstreamMicroseconds: integer(
      "upstream_response_time_with_tls_handshake_and_redirects_counted_in_microseconds",
    ),
    upstreamMilliseconds: integer(
      "upstream_response_time_with_tls_handshake_and_redirects_counted_in_milliseconds",
    ),
  },
  (forward) => [index("forwards_failed").on(forward.requestId).where(sql`error IS NOT NULL`)],
);

export const tags = sqliteTable(
  "tags",
  {
    requestId: integer("request_id")
      .notNull()
      .references(() => requests.id, { onDelete: "cascade" }),
    tag: text().notNull(),
  },
  (tag) => [index("tags_request").on(tag.requestId)],
);

export const usage = sqliteTable(
  "usage",
  {
    userId: integer("user_id")
      .notNull()
      .references(() => users.id),
    month: text().notNull(),
    requests: integer().notNull().default(0),
    bytes: integer().notNull().default(0),
  },
  (usage) => [primaryKey({ columns: [usage.userId, usage.month] })],
);

export const activity = sqliteTable("activity", {
  id: integer().primaryKey({ autoIncrement: true }),
  action: text().notNull(),
  at: text().notNull().default(sql`(datetime('now'))`),
});
