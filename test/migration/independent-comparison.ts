import type { MigrationPlan, PlannedColumn, PlannedTable } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";

/**
 * A second comparison of both sides, which shares no code with the one under test: rows come through
 * the drivers, Postgres's are decoded here in JavaScript, and the two lists are compared as multisets.
 */
export interface ComparedSides {
  readonly rows: number;
  /** Empty when both sides hold the same rows. */
  readonly differences: string[];
}

export async function compareIndependently(
  sqlitePath: string,
  url: string,
  plan: MigrationPlan,
): Promise<ComparedSides> {
  const db = new Database(sqlitePath, { readonly: true });
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => String } });
  await client.connect();
  try {
    await client.query("SET timezone = 'UTC'; SET bytea_output = 'hex'");
    let rows = 0;
    const differences: string[] = [];
    for (const table of plan.tables) {
      const here = sqliteRows(db, table);
      const there = await postgresRows(client, plan.schema, table);
      rows += here.length;
      differences.push(...differing(table.name, here, there));
    }
    return { rows, differences };
  } finally {
    await client.end();
    db.close();
  }
}

function differing(table: string, here: string[], there: string[]): string[] {
  const counts = new Map<string, number>();
  for (const row of here) counts.set(row, (counts.get(row) ?? 0) + 1);
  for (const row of there) counts.set(row, (counts.get(row) ?? 0) - 1);
  return [...counts]
    .filter(([, count]) => count !== 0)
    .map(
      ([row, count]) => `${table}: ${count > 0 ? "only in SQLite" : "only in Postgres"}: ${row}`,
    );
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

function sqliteRows(db: Database.Database, table: PlannedTable): string[] {
  const columns = table.columns.flatMap(({ source }) => {
    const c = quoted(source);
    // As bytes, or the driver would mend what is broken.
    return [
      `typeof(${c})`,
      `CASE WHEN typeof(${c}) IN ('text', 'blob') THEN CAST(${c} AS BLOB) ELSE ${c} END`,
    ];
  });
  return db
    .prepare(`SELECT ${columns.join(", ")} FROM ${quoted(table.name)}`)
    .safeIntegers()
    .raw()
    .all()
    .map((row) => {
      const values = row as unknown[];
      return table.columns
        .map((_, at) => spelled(String(values[2 * at]), values[2 * at + 1]))
        .join(" ");
    });
}

function spelled(type: string, value: unknown): string {
  if (type === "null") return "null";
  if (type === "integer") return `integer:${value}`;
  if (type === "real") return `real:${bits(value as number)}`;
  return `${type}:${(value as Buffer).toString("hex")}`;
}

function bits(real: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(real);
  return bytes.toString("hex");
}

async function postgresRows(
  client: pg.Client,
  schema: string,
  table: PlannedTable,
): Promise<string[]> {
  const columns = table.columns.map((column) => quoted(column.target)).join(", ");
  const { rows } = await client.query<(string | null)[]>({
    text: `SELECT ${columns} FROM ${quoted(schema)}.${quoted(table.target)}`,
    rowMode: "array",
  });
  return rows.map((row) =>
    table.columns
      .map((column, at) => {
        const value = row[at];
        return value === null || value === undefined ? "null" : decoded(column, value);
      })
      .join(" "),
  );
}

const text = (value: string) => `text:${Buffer.from(value).toString("hex")}`;
const real = (value: string) => `real:${bits(Number(value))}`;
const integer = (value: string | bigint) => `integer:${BigInt(value)}`;

function decoded(column: PlannedColumn, value: string): string {
  switch (column.codec) {
    case "integer":
      return integer(value);
    case "boolean":
      return integer(value === "t" ? 1n : 0n);
    case "real":
      return real(value);
    case "number":
      return /^-?\d+$/.test(value) ? integer(value) : real(value);
    case "number-real":
      return Number.isInteger(Number(value)) && Math.abs(Number(value)) <= 2 ** 53
        ? integer(BigInt(Number(value)))
        : real(value);
    case "bytes":
      return `blob:${value.slice(2)}`;
    case "text-bytes":
      return `text:${value.slice(2)}`;
    case "numbers-in-text":
      return numberOrText(value);
    case "tagged":
      return untagged(value);
    case "epoch-s":
      return integer(BigInt(Date.parse(value.replace(" ", "T").replace("+00", "Z"))) / 1000n);
    case "epoch-ms":
      return integer(BigInt(Date.parse(value.replace(" ", "T").replace("+00", "Z"))));
    default:
      return column.codec.startsWith("iso-") ? text(isoText(column.codec, value)) : text(value);
  }
}

function numberOrText(value: string): string {
  if (/^(0|-?[1-9]\d*)$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value))
    return integer(value);
  if (value === "9.0e+999") return real("Infinity");
  if (value === "-9.0e+999") return real("-Infinity");
  return /^-?\d+\.\d+(e[+-]\d+)?$/.test(value) ? real(value) : text(value);
}

function untagged(value: string): string {
  const rest = value.slice(2);
  if (value.startsWith("i:")) return integer(rest);
  if (value.startsWith("r:")) return numberOrText(rest);
  if (value.startsWith("t:")) return text(rest);
  return `${value.startsWith("x:") ? "text" : "blob"}:${rest}`;
}

/** Postgres prints `2024-01-02 03:04:05.6+00`; the shape says how SQLite held it. */
function isoText(codec: string, value: string): string {
  const bare = value.replace("+00", "");
  if (codec === "iso-date" || codec === "iso-time") return bare;
  const [whole = "", fraction = ""] = bare.split(".");
  const dated = codec.includes("-t") ? whole.replace(" ", "T") : whole;
  const zone = Object.entries(ZONES).find(([end]) => codec.endsWith(end))?.[1] ?? "";
  return `${dated}${fractionOf(codec, fraction)}${zone}`;
}

const ZONES = { "-z": "Z", "-blank-offset": " +00:00", "-offset": "+00:00" };

/** Postgres leaves out zeros at its end. */
function fractionOf(codec: string, digits: string): string {
  if (codec.includes("-ms")) return `.${digits.padEnd(3, "0")}`;
  if (codec.includes("-us")) return `.${digits.padEnd(6, "0")}`;
  return codec.includes("-python") && digits !== "" ? `.${digits.padEnd(6, "0")}` : "";
}
