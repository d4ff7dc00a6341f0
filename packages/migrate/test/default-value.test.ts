import { expect, it } from "vitest";
import { type DefaultTarget, translateDefault } from "../src/map/default-value.ts";

const text = { type: "text", codec: "text" };
const bigint = { type: "bigint", codec: "integer" };
const numbers = { type: "text", codec: "numbers-in-text" };
const seconds = { type: "timestamp without time zone", codec: "iso-datetime" };
const tagged = { type: "text", codec: "tagged" };

it.each<[string, DefaultTarget, string | null]>([
  ["'it''s'", text, "'it''s'"],
  ['"double"', text, "'double'"],
  ["word", text, "'word'"],
  ["12", text, "'12'"],
  ["1.50", text, null],
  ["-1", bigint, "-1"],
  ["+ 7", bigint, "7"],
  ["'42'", bigint, "42"],
  ["''", bigint, null],
  ["9223372036854775808", bigint, null],
  ["0x10", bigint, "16"],
  ["0xFFFFFFFFFFFFFFFF", bigint, "-1"],
  ["-0x10", { type: "double precision", codec: "real" }, "-16"],
  ["1e999", { type: "double precision", codec: "real" }, null],
  ["007", text, "'7'"],
  ["-0", text, "'0'"],
  ["99999999999999999999", text, null],
  ["'007'", { ...numbers, affinity: "NUMERIC" }, "'7'"],
  ["'0.00'", { ...numbers, affinity: "NUMERIC" }, null],
  ["'2024-01-01'", { ...numbers, affinity: "NUMERIC" }, "'2024-01-01'"],
  ["'0'", { ...numbers, affinity: "REAL" }, null],
  ["0", { ...numbers, affinity: "REAL" }, null],
  ["0", { ...numbers, affinity: "INTEGER" }, "'0'"],
  ["'1'", { ...numbers, affinity: "BLOB" }, null],
  ["' +5 '", { ...tagged, affinity: "INTEGER" }, "'i:5'"],
  ["'5'", { ...tagged, affinity: "BLOB" }, "'t:5'"],
  ["'5'", { ...tagged, affinity: "TEXT" }, "'t:5'"],
  ["'five'", { ...tagged, affinity: "INTEGER" }, "'t:five'"],
  ["TRUE", { type: "boolean", codec: "boolean" }, "true"],
  ["2", { type: "boolean", codec: "boolean" }, null],
  ["1.5", { type: "numeric", codec: "number" }, "1.5"],
  ["x'CAFE'", { type: "bytea", codec: "bytes" }, "'\\xCAFE'::bytea"],
  ["'é'", { type: "bytea", codec: "text-bytes" }, "'\\xc3a9'::bytea"],
  ["'{}'", { type: "json", codec: "json" }, "'{}'"],
  ["'{'", { type: "json", codec: "json" }, null],
  ["CURRENT_TIMESTAMP", text, "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"],
  ["( datetime ( 'now' ) )", text, "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"],
  [
    "current_timestamp",
    { type: "timestamp without time zone", codec: "iso-datetime" },
    "date_trunc('second', (now() AT TIME ZONE 'UTC'))",
  ],
  [
    "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    text,
    `to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  ],
  ["strftime('%W', 'now')", text, null],
  ["unixepoch()", bigint, "floor(extract(epoch FROM now()))::bigint"],
  [
    "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    bigint,
    "floor(extract(epoch FROM now()) * 1000)::bigint",
  ],
  [
    "strftime('%s','now')",
    { type: "timestamp with time zone", codec: "epoch-s" },
    "date_trunc('second', now())",
  ],
  ["date('now')", { type: "date", codec: "iso-date" }, "(now() AT TIME ZONE 'UTC')::date"],
  // A finer instant than the column's spelling would not come back from it; one as fine is kept as it is.
  [
    "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    { type: "timestamp without time zone", codec: "iso-datetime" },
    "date_trunc('second', (now() AT TIME ZONE 'UTC'))",
  ],
  [
    "strftime('%Y-%m-%d %H:%M:%f000 +00:00', 'now')",
    { type: "timestamp with time zone", codec: "iso-datetime-us-blank-offset" },
    "date_trunc('milliseconds', now())",
  ],
  [
    "strftime('%H:%M:%f', 'now')",
    { type: "time without time zone", codec: "iso-time-ms" },
    "date_trunc('milliseconds', (now() AT TIME ZONE 'UTC'))::time",
  ],
  // Another instant than that of now.
  ["strftime('%Y-%m-%d 00:00:00', 'now')", seconds, null],
  ["strftime('%Y-01-01 %H:%M:%S', 'now')", seconds, null],
  ["CURRENT_DATE", seconds, null],
  ["CURRENT_TIME", seconds, null],
  ["strftime('%Y-%m', 'now')", { type: "date", codec: "iso-date" }, null],
  ["lower(hex(randomblob(8)))", text, "left(replace(gen_random_uuid()::text, '-', ''), 16)"],
  ["random()", bigint, null],
  ["sqlite_version()", text, null],
])("default %s for %o", (sql, target, wanted) => {
  expect(translateDefault(sql, target)).toBe(wanted);
});
