import type { Statement } from "better-sqlite3";
import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import { type KeyTerm, keyTerms, spelledKey, spelledKeyIn } from "./row-key.ts";

/** Finds single rows by their keys as both sides spell them, by the index of the key. */
export class RowsByKey {
  readonly #input: CompareInput;
  readonly #terms: readonly KeyTerm[];

  constructor(input: CompareInput) {
    this.#input = input;
    this.#terms = keyTerms(input.table);
  }

  /** SQLite: looks up what these expressions give of the row with a key. */
  here(columns: readonly string[]): (key: string) => unknown[] | undefined {
    const { db, table } = this.#input;
    const parts = this.#terms.map((_, at) => `? AS lifeboat_k${at}`).join(", ");
    const from = `FROM (SELECT ${parts}, ? AS lifeboat_key) AS lifeboat_asked CROSS JOIN ${quoteName(table.name)}`;
    const prepare = (tests: readonly string[]) =>
      db
        .prepare<unknown[], unknown[]>(
          `SELECT ${columns.join(", ")} ${from} ON ${tests.join(" AND ")} LIMIT 1`,
        )
        .raw();
    // By the index, whatever its collation, and then to the bit. The plus takes the affinity away that a CAST gives.
    const byIndex = this.#terms.map(
      (term, at) => `${term.column} = +(${term.stored(`lifeboat_k${at}`)})`,
    );
    const exact = `${spelledKey(this.#terms)} = lifeboat_key`;
    const indexed = prepare([...byIndex, exact]);
    let scanned: Statement<unknown[], unknown[]> | undefined;
    return (key) => {
      const parts = key.split(",");
      if (this.#isReversible(parts)) return indexed.get(...parts, key);
      scanned ??= prepare([exact]);
      return scanned.get(...parts, key);
    };
  }

  /**
   * Postgres: the same of several keys. Those that it can't hold are in no row of it.
   * @throws the server's error of class 22 for a key that it can't read as its type
   */
  async there(
    keys: readonly string[],
    columns: readonly string[],
  ): Promise<ReadonlyMap<string, readonly (string | null)[]>> {
    const inputs = this.#inputs(keys);
    if (inputs.length === 0) return new Map();
    const { client, schema, table } = this.#input;
    const at = (index: number) => `lifeboat_k${index + 1}`;
    // json has no equality; a key of that type is compared as the text that it keeps.
    const own = ({ target, ownType }: KeyTerm) => (ownType === "json" ? `${target}::text` : target);
    const typed = ({ ownType }: KeyTerm, index: number) =>
      ownType === "json" ? at(index) : `${at(index)}::${ownType}`;
    const { rows } = await client.query<(string | null)[]>({
      text: `SELECT ${spelledKeyIn(this.#terms)}, ${columns.join(", ")} FROM ${qualified(schema, table.target)}
        WHERE (${this.#terms.map(own).join(", ")}) IN (SELECT ${this.#terms.map(typed).join(", ")}
          FROM unnest(${this.#terms.map((_, index) => `$${index + 1}::text[]`).join(", ")}) AS lifeboat_keys(${this.#terms.map((_, index) => at(index)).join(", ")}))`,
      values: this.#terms.map((_, index) => inputs.map((input) => input[index])),
      rowMode: "array",
    });
    return new Map(rows.map(([key, ...values]) => [key ?? "", values]));
  }

  /** The keys as Postgres reads them; SQLite makes them without a look at any row. */
  #inputs(keys: readonly string[]): string[][] {
    const { db } = this.#input;
    const parts = this.#terms.map((_, at) => `? AS s${at}`);
    const values = this.#terms.map((term, at) => `${term.stored(`s${at}`)} AS k${at}`);
    const inputs = this.#terms.map((term, at) => term.inputOf(`k${at}`));
    const statement = db
      .prepare<string[], string[]>(
        `SELECT ${inputs.join(", ")} FROM (SELECT ${values.join(", ")} FROM (SELECT ${parts.join(", ")}))`,
      )
      .raw();
    return keys
      .map((key) => key.split(","))
      .filter((parts) => parts.every((part) => part.startsWith("V")))
      .map((parts) => (statement.get(...parts) ?? []).map(String));
  }

  /** Whether SQLite's value can be had from its spelling. */
  #isReversible(parts: readonly string[]): boolean {
    return parts.every(
      (part, at) => part.startsWith("V") && this.#terms[at]?.isReversible === true,
    );
  }
}
