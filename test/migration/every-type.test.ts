import type { Choice } from "@lifeboat/migrate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { migrationCase } from "./migration-case.ts";

/** Values at the ends of what each type holds, one list a column. */
const COLUMNS: readonly {
  sql: string;
  choice?: Choice;
  type: string;
  values: readonly string[];
}[] = [
  { sql: "INT", type: "bigint", values: ["0", "-9223372036854775808", "9223372036854775807"] },
  { sql: "BOOLEAN", type: "boolean", values: ["0", "1", "NULL"] },
  { sql: "REAL", type: "double precision", values: ["5e-324", "-1.7976931348623157e308", "9e999"] },
  { sql: "DECIMAL(10,2)", type: "numeric", values: ["12.34", "-9223372036854775808", "1e-310"] },
  { sql: "NUMERIC", type: "double precision", values: ["9e999", "9007199254740992", "0.1"] },
  { sql: "TEXT", type: "text", values: ["''", "'\\N'", "char(9, 10, 13, 92, 46) || '😀é'"] },
  {
    sql: "TEXT",
    type: "uuid",
    values: [
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "NULL",
    ],
  },
  {
    sql: "JSON",
    type: "json",
    values: [`'{"b":1,"a":1,"a":"\\u0000"}'`, `'[1e400, -0] '`, `'"\\ud800"'`],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'1969-12-31 23:59:59'"],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: ["'0001-01-01T00:00:00'", "'9999-12-31T23:59:59'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: ["'0001-01-01 00:00:00.001'", "'9999-12-31 23:59:59.999'", "'1999-12-31 23:59:59.500'"],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: ["'0001-01-01T00:00:00.001'", "'9999-12-31T23:59:59.999'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01 00:00:00Z'", "'9999-12-31 23:59:59Z'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01T00:00:00Z'", "'9999-12-31T23:59:59Z'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01 00:00:00.123Z'", "'9999-12-31 23:59:59.999Z'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01T00:00:00.123Z'", "'9999-12-31T23:59:59.999Z'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: [
      "'0001-01-01 00:00:00.000000'",
      "'9999-12-31 23:59:59.999999'",
      "'1969-12-31 23:59:59.999999'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: [
      "'0001-01-01 00:00:00'",
      "'9999-12-31 23:59:59.999999'",
      "'1969-12-31 23:59:59.000001'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: [
      "'0001-01-01T00:00:00.000000'",
      "'9999-12-31T23:59:59.999999'",
      "'1969-12-31T23:59:59.999999'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp without time zone",
    values: [
      "'0001-01-01T00:00:00'",
      "'9999-12-31T23:59:59.999999'",
      "'1969-12-31T23:59:59.000001'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01T00:00:00.000000Z'",
      "'9999-12-31T23:59:59.999999Z'",
      "'2024-02-29T12:00:00.100000Z'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01 00:00:00Z'",
      "'9999-12-31 23:59:59.999999Z'",
      "'2024-02-29 12:00:00.100000Z'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01T00:00:00.000000+00:00'",
      "'9999-12-31T23:59:59.999999+00:00'",
      "'2024-02-29T12:00:00.100000+00:00'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01 00:00:00+00:00'",
      "'9999-12-31 23:59:59.999999+00:00'",
      "'2024-02-29 12:00:00.100000+00:00'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01T00:00:00.000000 +00:00'",
      "'9999-12-31T23:59:59.999999 +00:00'",
      "'2024-02-29T12:00:00.100000 +00:00'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: [
      "'0001-01-01 00:00:00 +00:00'",
      "'9999-12-31 23:59:59.999999 +00:00'",
      "'2024-02-29 12:00:00.100000 +00:00'",
    ],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01T00:00:00+00:00'", "'9999-12-31T23:59:59+00:00'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01 00:00:00.001+00:00'", "'9999-12-31 23:59:59.999+00:00'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01T00:00:00 +00:00'", "'9999-12-31T23:59:59 +00:00'", "NULL"],
  },
  {
    sql: "DATETIME",
    type: "timestamp with time zone",
    values: ["'0001-01-01 00:00:00.001 +00:00'", "'9999-12-31 23:59:59.999 +00:00'", "NULL"],
  },
  // Python would not write the first so, nor anybody the others beside it.
  {
    sql: "DATETIME",
    type: "text",
    values: ["'2024-01-01 00:00:00.000000'", "'2024-01-01 00:00:00'", "NULL"],
  },
  { sql: "DATETIME", type: "text", values: ["'2024-01-01 00:00:00.12345'", "NULL", "NULL"] },
  { sql: "DATETIME", type: "text", values: ["'2024-02-30 00:00:00.123456'", "NULL", "NULL"] },
  { sql: "DATETIME", type: "text", values: ["'2024-01-01 00:00:00.12x456'", "NULL", "NULL"] },
  { sql: "DATETIME", type: "text", values: ["'2024-01-01 00:00:00.123456+01:00'", "NULL", "NULL"] },
  { sql: "DATE", type: "date", values: ["'0001-01-01'", "'9999-12-31'", "'2000-01-01'"] },
  // A year that Postgres has not, in a column of which SQLite would make numbers where it can.
  { sql: "DATE", type: "text", values: ["'0000-01-01'", "'0000-12-31'", "'2000-01-01'"] },
  { sql: "DATETIME", type: "text", values: ["'0000-01-01 00:00:00'", "NULL", "NULL"] },
  { sql: "TIME", type: "time without time zone", values: ["'00:00:00'", "'23:59:59'", "NULL"] },
  {
    sql: "TIME",
    type: "time without time zone",
    values: ["'00:00:00.000000'", "'23:59:59.999999'", "NULL"],
  },
  {
    sql: "TIME",
    type: "time without time zone",
    values: ["'00:00:00'", "'23:59:59.999999'", "'00:00:00.000001'"],
  },
  { sql: "TIME", type: "time without time zone", values: ["'00:00:00.001'", "NULL", "NULL"] },
  {
    sql: "INT",
    choice: { codec: "epoch-s" },
    type: "timestamp with time zone",
    values: ["-62135596800", "253402300799", "-1"],
  },
  {
    sql: "INT",
    choice: { codec: "epoch-ms" },
    type: "timestamp with time zone",
    values: ["-62135596800000", "253402300799999", "-1"],
  },
  {
    sql: "TEXT",
    choice: { codec: "text-bytes" },
    type: "bytea",
    values: ["CAST(x'fffe00' AS TEXT)", "''", "'plain'"],
  },
  {
    sql: "",
    choice: { codec: "tagged" },
    type: "text",
    values: ["CAST(x'fffe00' AS TEXT)", "x''", "-0.0"],
  },
  { sql: "", type: "text", values: ["'word'", "9223372036854775807", "9e999"] },
  {
    sql: "TEXT",
    choice: { codec: "integer-text" },
    type: "bigint",
    values: ["'-9223372036854775808'", "'9223372036854775807'", "'0'"],
  },
];

const names = COLUMNS.map((_, index) => `c${index}`);

function tableSql(name: string, blob: boolean): string {
  const columns = COLUMNS.map((column, index) => `c${index} ${column.sql}`);
  const rows = [0, 1, 2].map(
    (row) =>
      `(${row}, ${COLUMNS.map((column) => column.values[row]).join(", ")}${blob ? ", x'00ff'" : ""})`,
  );
  return `CREATE TABLE ${name}(id INTEGER PRIMARY KEY, ${columns.join(", ")}${blob ? ", b BLOB" : ""});
    INSERT INTO ${name} VALUES ${rows.join(", ")}, (3${", NULL".repeat(COLUMNS.length + (blob ? 1 : 0))});`;
}

describe("every type that a column can get", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  it("brings back values from its whole range, in COPY's text and binary form", async () => {
    const one = await migrationCase(
      cluster,
      tableSql("plain", false) + tableSql("with_blob", true),
    );
    one.choices = Object.fromEntries(
      ["plain", "with_blob"].flatMap((table) =>
        COLUMNS.flatMap((column, index) =>
          column.choice ? [[`${table}.c${index}`, column.choice]] : [],
        ),
      ),
    );
    const plan = await one.loadFaithfully();
    for (const table of plan.tables)
      expect(
        names.map((name) => table.columns.find((column) => column.source === name)?.type),
      ).toEqual(COLUMNS.map((column) => column.type));
    expect((await one.verify()).ok).toBe(true);
    await one.end();
  });

  it("brings them back when only types with a binary form stand beside a BLOB", async () => {
    const binary = COLUMNS.map((column, index) => ({ column, index })).filter(
      ({ column }) => column.type !== "numeric" && column.sql !== "NUMERIC" && column.sql !== "",
    );
    const columns = binary.map(({ column, index }) => `c${index} ${column.sql}`);
    const rows = [0, 1, 2].map(
      (row) => `(${row}, x'00', ${binary.map(({ column }) => column.values[row]).join(", ")})`,
    );
    const one = await migrationCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB, ${columns.join(", ")}); INSERT INTO t VALUES ${rows.join(", ")}`,
    );
    one.choices = Object.fromEntries(
      binary.flatMap(({ column, index }) =>
        column.choice ? [[`t.c${index}`, column.choice]] : [],
      ),
    );
    await one.loadFaithfully();
    await one.end();
  });

  it("can be the key by which both sides are compared", async () => {
    const keyed = COLUMNS.map((column, index) => ({ column, index })).filter(
      ({ column }) => column.type !== "json",
    );
    const one = await migrationCase(
      cluster,
      keyed
        .map(
          ({ column, index }) =>
            `CREATE TABLE k${index}(k ${column.sql} PRIMARY KEY, v TEXT); INSERT INTO k${index} VALUES ${column.values
              .filter((value) => value !== "NULL")
              .map((value) => `(${value}, 'v')`)
              .join(", ")};`,
        )
        .join("\n"),
    );
    one.choices = Object.fromEntries(
      keyed.flatMap(({ column, index }) => (column.choice ? [[`k${index}.k`, column.choice]] : [])),
    );
    const plan = await one.loadFaithfully();
    for (const table of plan.tables) expect(table.key).toEqual(["k"]);
    for (const table of plan.tables) await one.query(`UPDATE public.${table.target} SET v = 'w'`);
    const { tables } = await one.verify();
    for (const table of tables) {
      expect(table.differing, table.name).toBe(table.rows);
      expect(
        table.differences.every((found) => found.kind === "different"),
        table.name,
      ).toBe(true);
    }
    await one.end();
  });
});
