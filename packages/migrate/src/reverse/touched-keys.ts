import type { Database } from "better-sqlite3";

const CHUNK = 500;

const TESTS = { all: "", placed: "AND place IS NOT NULL", new: "AND place IS NULL" };

interface TouchedKey {
  readonly id: bigint;
  /** As the log of Postgres spells it. */
  readonly key: readonly string[];
  /** The rowid that the row had in SQLite, so that it has it again; null for a new row. */
  readonly place: bigint | null;
}

/** The keys of one table's touched rows, kept in a temporary table of SQLite: there may be millions. */
export class TouchedKeys {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.exec("DELETE FROM temp.lifeboat_touched");
  }

  add(keys: readonly (readonly string[])[]): void {
    const insert = this.#db.prepare("INSERT INTO temp.lifeboat_touched (key) VALUES (?)");
    for (const key of keys) insert.run(JSON.stringify(key));
  }

  place(id: bigint | undefined, place: bigint | null): void {
    if (place === null || id === undefined) return;
    this.#db.prepare("UPDATE temp.lifeboat_touched SET place = ? WHERE id = ?").run(place, id);
  }

  *chunks(which: "all" | "placed" | "new" = "all"): Generator<readonly TouchedKey[]> {
    const next = this.#db.prepare<[bigint], { id: bigint; key: string; place: bigint | null }>(
      `SELECT id, key, place FROM temp.lifeboat_touched WHERE id > ? ${TESTS[which]} ORDER BY id LIMIT ${CHUNK}`,
    );
    let after = 0n;
    for (;;) {
      const rows = next.all(after);
      const last = rows.at(-1);
      if (!last) return;
      yield rows.map((row) => ({ ...row, key: JSON.parse(row.key) as string[] }));
      after = last.id;
    }
  }
}
