import { type Database, SqliteError, type Statement } from "better-sqlite3";
import { codecNamed } from "../codec/registry.ts";
import { rowCanon } from "../compare/row-canon.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { columnNamed, type SqliteSchema, sameName, tableNamed } from "../sqlite/schema.ts";
import { canonInSqlite, valueInSqlite } from "./canon-columns.ts";
import type { CanonRow } from "./change-reader.ts";
import { comparedTable, isKeyed, loggedColumns, storedColumns } from "./logged-columns.ts";

const MAX_FINDINGS = 20;

/**
 * Writes rows of Postgres to one table of SQLite, and looks at each afterwards: what SQLite holds then must be what
 * Postgres holds, to the last bit. What SQLite refuses or can't hold is a finding; the batch then goes back.
 */
export class TableWriter {
  readonly table: PlannedTable;
  readonly findings: MigrationFinding[] = [];
  written = 0;
  removed = 0;
  readonly #db: Database;
  /** Of the stored columns of Postgres, which ones SQLite stores too. */
  readonly #written: readonly boolean[];
  readonly #hiddenRowid: string | null;
  readonly #insert: Statement;
  readonly #digest: Statement;
  readonly #find: Statement | null;
  readonly #delete: Statement;
  /** What tells a row, behind WHERE. */
  readonly #where: string;
  #copies: Statement | null = null;

  constructor(db: Database, schema: SqliteSchema, table: PlannedTable) {
    this.#db = db;
    this.#written = storedColumns(table).map((column) => !isGenerated(schema, table, column));
    this.table = table;
    const { rowid } = table;
    const isColumn = table.columns.some((one) => rowid !== null && sameName(one.source, rowid));
    this.#hiddenRowid = isColumn ? null : rowid;
    const name = quoteName(table.name);
    const byKey = loggedColumns(table).map(sameValue).join(" AND ");
    const where = isKeyed(table) ? byKey : `${quoteName(rowid ?? "rowid")} = ?`;
    this.#where = where;
    const written = storedColumns(table).filter((_, at) => this.#written[at]);
    this.#insert = db.prepare(insertSql(table, written, this.#hiddenRowid));
    const canon = rowCanon(comparedTable(table)).sqlite;
    this.#digest = db.prepare(`SELECT lifeboat_md5(${canon}) FROM ${name} WHERE ${where}`).pluck();
    this.#delete = db.prepare(`DELETE FROM ${name} WHERE ${where}`);
    this.#find =
      isKeyed(table) && this.#hiddenRowid !== null
        ? db.prepare(`SELECT ${quoteName(this.#hiddenRowid)} FROM ${name} WHERE ${where}`).pluck()
        : null;
  }

  deleteAll(): void {
    this.removed += this.#db.prepare(`DELETE FROM ${quoteName(this.table.name)}`).run().changes;
  }

  /** @returns the rowid of the row that went, where it is no column of its own */
  delete(key: readonly unknown[]): bigint | null {
    const place = (this.#find?.get(...twice(key)) as bigint | undefined) ?? null;
    this.removed += this.#delete.run(...twice(key)).changes;
    return place;
  }

  /** Removes one of the rows that are equal to this one. */
  deleteCopy(row: CanonRow): void {
    this.#copies ??= this.#indexCopies();
    const place = this.#copies.get(row.digest) as bigint | undefined;
    if (place === undefined) {
      this.#note("row-not-found", row, "is not in SQLite and was removed in Postgres");
      return;
    }
    this.removed += this.#delete.run(place).changes;
    this.#db.prepare("DELETE FROM temp.lifeboat_copies WHERE place = ?").run(place);
  }

  /** @param place the rowid that the row had before; null for a new one */
  insert(row: CanonRow, place: bigint | null): void {
    let rowid: number | bigint;
    try {
      const stored = row.values.filter((_, at) => this.#written[at]);
      const values = this.#hiddenRowid === null ? stored : [...stored, place];
      rowid = this.#insert.run(...values).lastInsertRowid;
    } catch (cause) {
      if (!(cause instanceof SqliteError)) throw cause;
      this.#note("refused-by-sqlite", row, `is refused by SQLite (${cause.message})`);
      return;
    }
    this.written++;
    const by = isKeyed(this.table) ? twice(this.#keyOf(row)) : [rowid];
    if (this.#digest.get(...by) === row.digest) return;
    const columns = this.#unheld(row, by);
    const where = columns.length > 0 ? ` in ${columns.join(", ")}` : "";
    this.#note(
      "not-held-by-sqlite",
      row,
      `holds a value${where} that SQLite can't hold as Postgres does`,
    );
  }

  /** The columns that SQLite holds otherwise than they were given to it; none where only what it calculates differs. */
  #unheld(row: CanonRow, by: readonly unknown[]): string[] {
    const stored = storedColumns(this.table);
    const held = this.#db
      .prepare<unknown[], unknown[]>(
        `SELECT ${stored.map(canonInSqlite).join(", ")} FROM ${quoteName(this.table.name)} WHERE ${this.#where}`,
      )
      .raw()
      .get(...by);
    const isHeld = (column: PlannedColumn, at: number) =>
      shown(held?.[at]) === shown(canonOf(column, row.values[at]));
    return stored.filter((column, at) => !isHeld(column, at)).map(({ source }) => source);
  }

  /** Rows by their content, made once a batch: without a key each would else be looked for in the whole table. */
  #indexCopies(): Statement {
    const canon = rowCanon(comparedTable(this.table)).sqlite;
    const rowid = quoteName(this.table.rowid ?? "rowid");
    this.#db.exec(
      `DROP TABLE IF EXISTS temp.lifeboat_copies;
       CREATE TEMP TABLE lifeboat_copies (place INTEGER PRIMARY KEY, digest TEXT);
       INSERT INTO temp.lifeboat_copies SELECT ${rowid}, lifeboat_md5(${canon}) FROM ${quoteName(this.table.name)};
       CREATE INDEX temp.lifeboat_copies_digest ON lifeboat_copies(digest)`,
    );
    return this.#db
      .prepare("SELECT place FROM temp.lifeboat_copies WHERE digest = ? LIMIT 1")
      .pluck();
  }

  #keyOf(row: CanonRow): unknown[] {
    const stored = storedColumns(this.table);
    return loggedColumns(this.table).map((column) => row.values[stored.indexOf(column)]);
  }

  #note(id: string, row: CanonRow, what: string): void {
    if (this.findings.length >= MAX_FINDINGS) return;
    const key = isKeyed(this.table) ? this.#keyOf(row).map(shown).join(", ") : "(no key)";
    this.findings.push(
      finding({
        id,
        severity: "error",
        table: this.table.name,
        sample: [key],
        summary: `row ${key} of ${this.table.name} ${what}`,
      }),
    );
  }
}

/**
 * By the column's collation, since its index may be of that, and byte for byte, since it may tell less apart than the
 * key does.
 */
function sameValue(column: PlannedColumn): string {
  const name = quoteName(column.source);
  const value = valueInSqlite(column);
  return `${name} = ${value} AND ${name} COLLATE BINARY = ${value}`;
}

function twice(key: readonly unknown[]): unknown[] {
  return key.flatMap((value) => [value, value]);
}

/** OR ABORT also where the table says ON CONFLICT REPLACE or IGNORE: either would lose a row without a word. */
function insertSql(
  table: PlannedTable,
  columns: readonly PlannedColumn[],
  hiddenRowid: string | null,
): string {
  const names = columns.map((column) => quoteName(column.source));
  const values = columns.map(valueInSqlite);
  if (hiddenRowid !== null) {
    names.push(quoteName(hiddenRowid));
    values.push("?");
  }
  return `INSERT OR ABORT INTO ${quoteName(table.name)} (${names.join(", ")}) VALUES (${values.join(", ")})`;
}

/** A generated column of SQLite may be a plain one in Postgres, by choice. */
function isGenerated(schema: SqliteSchema, table: PlannedTable, column: PlannedColumn): boolean {
  const own = tableNamed(schema, table.name);
  return own !== undefined && columnNamed(own, column.source)?.generated != null;
}

/** A long text comes as its bytes. */
function canonOf({ codec }: PlannedColumn, value: unknown): unknown {
  return Buffer.isBuffer(value) && !codecNamed(codec).bytes ? value.toString("utf8") : value;
}

function shown(canon: unknown): string {
  return Buffer.isBuffer(canon) ? `x'${canon.toString("hex")}'` : String(canon);
}
