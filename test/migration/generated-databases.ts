import Database from "better-sqlite3";
import fc from "fast-check";

/** A generated database: what to run, and the rows to put in, as far as its constraints let them. */
export interface GeneratedDatabase {
  readonly ddl: readonly string[];
  readonly inserts: readonly { readonly sql: string; readonly values: readonly unknown[] }[];
}

/** A text given by its bytes, which need not be UTF-8. */
class RawText {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

const integers = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    -1n,
    2n ** 53n,
    -(2n ** 53n) - 1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    1704164645n,
    1704164645123n,
  ),
  fc.bigInt({ min: -5n, max: 20n }),
);
const reals = fc.oneof(
  fc.constantFrom(
    0.5,
    -0,
    1e300,
    -1e-300,
    5e-324,
    0.1 + 0.2,
    2.5,
    3,
    12.34,
    Infinity,
    -Infinity,
    1e15,
    123456789012345680,
  ),
  fc.double({ noNaN: true }),
);
const texts = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "A",
    "é",
    "É",
    "\\N",
    "\\.",
    "tab\tnl\ncr\rbs\\",
    "12",
    "-7",
    "007",
    "1.5",
    "1.0e+300",
    "-0.0",
    "9.0e+999",
    "NULL",
    "true",
    "{}",
    '{"a": 1,"a":2}',
    "[1]",
    "{bad",
    "2024-01-02",
    "2024-01-02 03:04:05",
    "2024-01-02T03:04:05.678Z",
    "2024-02-30 00:00:00",
    "0000-01-01",
    "24:00:00",
    "03:04:05",
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    "0F8FAD5B-D9CB-469F-A165-70867728950E",
    "\u{1f600}e\u0301",
    "ab\u0000cd",
    " lead",
    "trail ",
  ),
  fc.string({ unit: "grapheme", maxLength: 12 }),
);
const broken = fc
  .constantFrom("fffe41", "c328", "eda080", "f4908080")
  .map((hex) => new RawText(Buffer.from(hex, "hex")));
const blobs = fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes));

/** Mostly one class a column, as in the world; now and then everything. */
const values = fc.oneof(
  { weight: 3, arbitrary: fc.constant(integers) },
  { weight: 2, arbitrary: fc.constant(reals) },
  { weight: 4, arbitrary: fc.constant(texts) },
  { weight: 2, arbitrary: fc.constant(blobs) },
  { weight: 1, arbitrary: fc.constant(fc.constantFrom(0n, 1n)) },
  {
    weight: 1,
    arbitrary: fc.constant(fc.constantFrom("2024-01-02 03:04:05", "1999-12-31 23:59:59")),
  },
  {
    weight: 1,
    arbitrary: fc.constant(fc.constantFrom("2024-01-02T03:04:05.678Z", "0001-01-01T00:00:00.000Z")),
  },
  ...["", "Z", "+00:00", " +00:00"].map((zone) => ({
    weight: 1,
    arbitrary: fc.constant(
      fc.constantFrom(`2024-02-29 03:04:05${zone}`, `1999-12-31 23:59:59.000001${zone}`),
    ),
  })),
  { weight: 1, arbitrary: fc.constant(fc.constantFrom("23:59:59.999999", "00:00:00.000000")) },
  { weight: 1, arbitrary: fc.constant(fc.constantFrom(1704164645n, 1704164645123n)) },
  { weight: 1, arbitrary: fc.constant(fc.uuid()) },
  { weight: 1, arbitrary: fc.constant(fc.json()) },
  { weight: 1, arbitrary: fc.constant(fc.oneof(integers, texts)) },
  { weight: 1, arbitrary: fc.constant(fc.oneof(integers, reals)) },
  { weight: 1, arbitrary: fc.constant(fc.oneof(integers, reals, texts, blobs, broken)) },
);

const types = fc.constantFrom(
  "INTEGER",
  "INT",
  "TEXT",
  "REAL",
  "NUMERIC",
  "BLOB",
  "",
  "BOOLEAN",
  "TINYINT(1)",
  "DATETIME",
  "TIMESTAMP",
  "DATE",
  "JSON",
  "DECIMAL(10,2)",
  "VARCHAR(5)",
  "UUID",
  "my type",
);
const names = fc.constantFrom(
  "a",
  "Mixed Case",
  'quo"te',
  "select",
  "ctid",
  "ünïcode",
  "a.b",
  "x".repeat(70),
  "oid",
  "type",
);

interface ColumnShape {
  readonly name: string;
  readonly type: string;
  readonly collation: string;
  readonly values: fc.Arbitrary<unknown>;
  readonly rule: string;
  /** What a CHECK of the column says of it. */
  readonly check: string;
}

const column: fc.Arbitrary<ColumnShape> = fc.record({
  name: names,
  type: types,
  collation: fc.constantFrom("", "", "", " COLLATE NOCASE", " COLLATE RTRIM"),
  values,
  rule: fc.constantFrom(
    "",
    "",
    "",
    " NOT NULL",
    " UNIQUE",
    " UNIQUE ON CONFLICT REPLACE",
    " UNIQUE ON CONFLICT IGNORE",
    " NOT NULL ON CONFLICT REPLACE DEFAULT 5",
  ),
  check: fc.constantFrom("", "", "", "", "IS NOT 7", "IS NOT 'a'", "BETWEEN -3 AND 1e15"),
});

/** Of tables, each with its place behind it. */
const tableNames = fc.constantFrom(
  "t",
  "t",
  "Order ",
  'ta"ble',
  "select",
  "ünï",
  "a.b",
  "y".repeat(70),
);

const keyKinds = [
  "id INTEGER PRIMARY KEY",
  "id INTEGER PRIMARY KEY ON CONFLICT REPLACE",
  "id INTEGER PRIMARY KEY AUTOINCREMENT",
  "id INT PRIMARY KEY",
  "id TEXT PRIMARY KEY",
  "none",
  "without rowid",
] as const;

const table = fc.record({
  name: tableNames,
  /** Whose rows its own refer to: its own, or those of the table after it, so that the last and the first make a circle. */
  refers: fc.constantFrom("nobody", "itself", "next"),
  conflict: fc.constantFrom("IGNORE", "REPLACE"),
  key: fc.constantFrom(...keyKinds),
  columns: fc.uniqueArray(column, {
    minLength: 1,
    maxLength: 4,
    selector: (one) => one.name.toLowerCase(),
  }),
  rows: fc.integer({ min: 0, max: 12 }),
  index: fc.constantFrom("", "INDEX", "UNIQUE INDEX", "PARTIAL"),
  generated: fc.constantFrom(
    "",
    "g AS (id)",
    "g AS (typeof(id)) STORED",
    "g TEXT AS (upper(id) || 'x')",
  ),
});

/** Databases of one to three tables, which refer to themselves and to each other. */
export const generatedDatabases: fc.Arbitrary<GeneratedDatabase> = fc
  .array(table, { minLength: 1, maxLength: 3 })
  .chain((tables) => {
    const made = tables.map((_, position) => tableSql(tables, position));
    const rows = made.map((one, position) =>
      fc.array(fc.tuple(...one.values), { minLength: tables[position]?.rows ?? 0, maxLength: 12 }),
    );
    return fc.tuple(...rows).map((all) => ({
      ddl: made.flatMap((one) => one.ddl),
      inserts: all.flatMap((some, position) =>
        some.map((row) => ({ sql: made[position]?.insert ?? "", values: row })),
      ),
    }));
  });

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

type TableShape = typeof table extends fc.Arbitrary<infer T> ? T : never;

const nameOf = (shape: TableShape, position: number) => quoted(`${shape.name}${position}`);

/** The table that a table's rows refer to; only a key of one column is referred to. */
function parentOf(tables: readonly TableShape[], position: number): string | null {
  const refers = tables[position]?.refers;
  const at = refers === "next" ? (position + 1) % tables.length : position;
  const parent = tables[at];
  if (refers === "nobody" || !parent?.key.startsWith("id")) return null;
  return nameOf(parent, at);
}

function tableSql(
  tables: readonly TableShape[],
  position: number,
): { ddl: string[]; insert: string; values: fc.Arbitrary<unknown>[] } {
  const shape = tables[position] as TableShape;
  const name = nameOf(shape, position);
  const keyed = shape.key.startsWith("id");
  const lines = shape.columns.map(
    (one) =>
      `${quoted(one.name)} ${one.type}${one.collation}${one.rule}${one.check === "" ? "" : ` CHECK (${quoted(one.name)} ${one.check})`}`,
  );
  const keyValues = shape.key.includes("TEXT") ? texts : fc.bigInt({ min: -3n, max: 15n });
  const columns = shape.columns.map((one) => quoted(one.name));
  const arbitraries = shape.columns.map((one) => fc.option(one.values, { freq: 5 }));
  const hasId = keyed || shape.key === "without rowid";
  if (hasId) {
    lines.unshift(keyed ? shape.key : "id TEXT");
    columns.unshift("id");
    arbitraries.unshift(shape.key.includes("INTEGER") || keyed ? keyValues : texts);
    if (shape.generated !== "" && !shape.columns.some((one) => one.name === "g"))
      lines.push(shape.generated);
  }
  const parent = parentOf(tables, position);
  if (parent !== null) {
    lines.push(`parent_id REFERENCES ${parent}`);
    columns.push("parent_id");
    arbitraries.push(fc.option(fc.bigInt({ min: -3n, max: 15n })));
  }
  if (shape.key === "without rowid")
    lines.push(`PRIMARY KEY (id, ${quoted(shape.columns[0]?.name ?? "")})`);
  // Constraints of the table come after its columns.
  const sorted = lines.toSorted(
    (a, b) => Number(a.startsWith("PRIMARY")) - Number(b.startsWith("PRIMARY")),
  );
  const ddl = [
    `CREATE TABLE ${name} (${sorted.join(", ")})${shape.key === "without rowid" ? " WITHOUT ROWID" : ""}`,
  ];
  const first = quoted(shape.columns[0]?.name ?? "");
  if (shape.index === "PARTIAL")
    ddl.push(`CREATE UNIQUE INDEX i${position} ON ${name} (${first}) WHERE ${first} > 5`);
  else if (shape.index !== "")
    ddl.push(`CREATE ${shape.index} i${position} ON ${name} (lower(${first}), ${first} DESC)`);
  const marks = columns.map(() => "?").join(", ");
  return {
    ddl,
    insert: `INSERT OR ${shape.conflict} INTO ${name} (${columns.join(", ")}) VALUES (${marks})`,
    values: arbitraries,
  };
}

/**
 * Writes as a product does that moves values about, and no value that is not there already: a plan holds what comes of it. A
 * REPLACE may take rows away that it does not name.
 */
export function moveValues(path: string, tables: readonly string[]): void {
  const db = new Database(path);
  db.pragma("foreign_keys = OFF");
  // Without those that are generated, which nobody writes.
  const columnsOf = db.prepare<[string], string>("SELECT name FROM pragma_table_info(?)").pluck();
  for (const name of tables) {
    const table = quoted(name);
    const columns = columnsOf.all(name).map(quoted);
    const names = columns.join(", ");
    for (const column of columns)
      for (const statement of [
        `UPDATE OR REPLACE ${table} SET ${column} = (SELECT ${column} FROM ${table} ORDER BY ${column} DESC LIMIT 1) WHERE ${column} = (SELECT min(${column}) FROM ${table})`,
        `INSERT OR REPLACE INTO ${table} (${names}) SELECT ${names} FROM ${table} WHERE ${column} IS NOT NULL LIMIT 3`,
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM ${table} LIMIT 2`,
        `DELETE FROM ${table} WHERE ${column} = (SELECT max(${column}) FROM ${table})`,
        `UPDATE ${table} SET ${column} = ${column}`,
      ])
        orRefused(() => db.exec(statement));
  }
  db.close();
}

/** Whether any row names a parent that is not there. */
export function hasOrphans(path: string): boolean {
  const db = new Database(path, { readonly: true });
  try {
    return (db.pragma("foreign_key_check") as unknown[]).length > 0;
  } finally {
    db.close();
  }
}

/** What SQLite refuses is no row of the database: REPLACE passes over no NULL and no CHECK. */
function orRefused(write: () => void): void {
  try {
    write();
  } catch (cause) {
    if (!/constraint failed/.test(String(cause))) throw cause;
  }
}

/** Makes the file. Foreign keys stay unenforced, as SQLite leaves them by default, so that orphans come about. */
export function writeDatabase(path: string, database: GeneratedDatabase): void {
  const db = new Database(path);
  db.pragma("foreign_keys = OFF");
  for (const sql of database.ddl) db.exec(sql);
  for (const { sql, values: row } of database.inserts) {
    const marks = row
      .map((value) => (value instanceof RawText ? "CAST(? AS TEXT)" : "?"))
      .join(", ");
    const bound = row.map((value) => (value instanceof RawText ? value.bytes : value));
    orRefused(() => {
      db.prepare(sql.replace(/VALUES \(.*\)$/, `VALUES (${marks})`)).run(...bound);
    });
  }
  db.close();
}
