import { sql } from "drizzle-orm";
import {
  bigint,
  customType,
  doublePrecision,
  index,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const id = () => bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity();
const number = (name: string) => bigint(name, { mode: "number" });

export const users = pgTable("users", {
  id: id(),
  email: text().notNull().unique(),
  name: text(),
});

export const endpoints = pgTable("endpoints", {
  id: text().primaryKey(),
  userId: number("user_id")
    .notNull()
    .references(() => users.id),
  name: text().notNull(),
  responseStatus: number("response_status").notNull().default(200),
  responseHeaders: json("response_headers").notNull().default({}),
  // Users answer with any bytes, which a Postgres text does not take.
  responseBody: bytea("response_body").notNull(),
  forwardUrl: text("forward_url"),
  secret: text().default(sql`left(replace(gen_random_uuid()::text, '-', ''), 32)`),
  expiresAt: number("expires_at"),
});

export const requests = pgTable(
  "requests",
  {
    id: id(),
    endpointId: text("endpoint_id")
      .notNull()
      .references(() => endpoints.id, { onDelete: "cascade" }),
    uuid: uuid().notNull().unique(),
    method: text().notNull(),
    path: text().notNull(),
    // What clients sent is not always JSON.
    query: text(),
    headers: json().notNull(),
    contentType: text("content_type"),
    body: bytea(),
    bodySize: number("body_size").notNull(),
    ip: text(),
    receivedAt: doublePrecision("received_at").notNull(),
  },
  (request) => [index("requests_newest").on(request.endpointId, request.receivedAt.desc())],
);

export const forwards = pgTable(
  "forwards",
  {
    id: id(),
    requestId: number("request_id")
      .notNull()
      .references(() => requests.id, { onDelete: "cascade" }),
    attempt: number("attempt").notNull(),
    url: text().notNull(),
    status: number("status"),
    durationMs: doublePrecision("duration_ms"),
    error: text(),
    // Postgres keeps 63 bytes of a name; the move cuts longer ones and tells them apart by a digest.
    upstreamMicroseconds: number("upstream_response_time_with_tls_handshake_and_redirect_15a9201c"),
    upstreamMilliseconds: number("upstream_response_time_with_tls_handshake_and_redirect_11660109"),
  },
  (forward) => [index("forwards_failed").on(forward.requestId).where(sql`error IS NOT NULL`)],
);

export const tags = pgTable(
  "tags",
  {
    requestId: number("request_id")
      .notNull()
      .references(() => requests.id, { onDelete: "cascade" }),
    tag: text().notNull(),
  },
  (tag) => [index("tags_request").on(tag.requestId)],
);

export const usage = pgTable(
  "usage",
  {
    userId: number("user_id")
      .notNull()
      .references(() => users.id),
    month: text().notNull(),
    requests: number("requests").notNull().default(0),
    bytes: number("bytes").notNull().default(0),
  },
  (usage) => [primaryKey({ columns: [usage.userId, usage.month] })],
);

export const activity = pgTable("activity", {
  id: id(),
  action: text().notNull(),
  at: timestamp("at").notNull().default(sql`date_trunc('second', now() AT TIME ZONE 'UTC')`),
});
