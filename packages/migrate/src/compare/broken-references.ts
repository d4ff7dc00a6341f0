import { foreignKeyParts } from "../constraint-parts.ts";
import { qualified } from "../ddl.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { PlannedConstraint, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import { keyTerms, spelledKeyIn } from "./row-key.ts";
import { RowsByKey } from "./rows-by-key.ts";
import type { Unsettled } from "./settle.ts";
import { heldSides, type Moment, type WrittenSince } from "./sides.ts";

/** So many rows without a parent are looked at one by one; that there are more is told. */
const LOOKED_AT = 1000;
const SAMPLE = 5;

interface Orphan {
  /** As both sides spell it; empty where the table has no key. */
  readonly key: string;
  readonly shown: string;
}

/**
 * Looks for rows of one foreign key whose parent is not in Postgres. The server does not: what a sync applies passes it by,
 * as in any replica. A row without a parent may just be in flight, or its parent.
 */
export class BrokenReferences implements Unsettled {
  readonly #input: CompareInput;
  readonly #constraint: PlannedConstraint;
  readonly #parent: PlannedTable;
  #broken: readonly Orphan[] = [];
  #count = 0;
  #inFlight = 0;

  /** @param parent the table that the constraint refers to */
  constructor(input: CompareInput, constraint: PlannedConstraint, parent: PlannedTable) {
    this.#input = input;
    this.#constraint = constraint;
    this.#parent = parent;
  }

  async settle(): Promise<boolean> {
    const sides = this.#input.sides ?? heldSides(this.#input.client);
    await sides.look((moment) => this.#look(moment));
    return this.#inFlight === 0;
  }

  /** Whether a look left something that may just be in flight. */
  get isOpen(): boolean {
    return this.#inFlight > 0;
  }

  findings(): MigrationFinding[] {
    const { name, subject } = this.#constraint;
    const table = this.#input.table.name;
    const what = `of ${table} have no parent in Postgres by ${name}`;
    if (this.#count === 0 && this.#inFlight === 0) return [];
    const isBroken = this.#count > 0;
    return [
      finding({
        id: isBroken ? "foreign-key-broken" : "foreign-key-in-flight",
        severity: isBroken ? "error" : "info",
        table,
        column: subject,
        count: isBroken ? this.#count : this.#inFlight,
        sample: this.#broken.slice(0, SAMPLE).map(({ shown }) => shown),
        summary: isBroken
          ? `${this.#count} rows ${what}`
          : `${this.#inFlight} rows ${what} yet: they or their parents were just written`,
      }),
    ];
  }

  async #look(moment: Moment): Promise<void> {
    const { orphans, count } = await this.#orphans();
    this.#broken =
      orphans.length === 0 ? [] : moment.inSqlite((written) => this.#proved(written, orphans));
    this.#inFlight = orphans.length - this.#broken.length;
    this.#count = this.#broken.length === 0 ? 0 : count - this.#inFlight;
  }

  async #orphans(): Promise<{ orphans: Orphan[]; count: number }> {
    const { client, schema, table } = this.#input;
    const parts = foreignKeyParts(this.#constraint);
    const terms = keyTerms(table);
    const isSet = parts.columns.map((name) => `${quoteName(name)} IS NOT NULL`).join(" AND ");
    const same = parts.columns
      .map((name, at) => {
        const own = `${qualified(schema, table.target)}.${quoteName(name)}`;
        return `lifeboat_parent.${quoteName(parts.parentColumns[at] ?? "")} = ${own}`;
      })
      .join(" AND ");
    const key = terms.length > 0 ? spelledKeyIn(terms) : "''";
    const shown =
      terms.length > 0
        ? terms.map((term) => term.shownIn).join(" || ', ' || ")
        : "'ctid ' || ctid::text";
    const { rows } = await client.query<{ key: string; shown: string; count: string }>(
      `SELECT ${key} AS key, ${shown} AS shown, count(*) OVER () AS count FROM ${qualified(schema, table.target)}
       WHERE ${isSet} AND NOT EXISTS (SELECT 1 FROM ${qualified(parts.schema, parts.parent)} AS lifeboat_parent WHERE ${same})
       LIMIT ${LOOKED_AT}`,
    );
    return { orphans: rows, count: Number(rows[0]?.count ?? 0) };
  }

  /** Those that no write which Postgres need not hold yet explains. */
  #proved(written: WrittenSince, orphans: readonly Orphan[]): readonly Orphan[] {
    const { table, sides } = this.#input;
    if (sides === undefined) return orphans;
    if (!written.isKnown(table)) return [];
    if (table.key.length === 0) return written.count(table) === 0 ? orphans : [];
    const touched = written.among(
      table,
      orphans.map(({ key }) => key),
    );
    const parentsMoved = written.any(this.#parent);
    const hasParent = new RowsByKey(this.#input).here([this.#parentHere()]);
    return orphans.filter(({ key }) => {
      if (touched.has(key)) return false;
      return !parentsMoved || hasParent(key)?.[0] !== 1n;
    });
  }

  /** SQLite: 1 where the row has its parent there. */
  #parentHere(): string {
    const { table } = this.#input;
    const parts = foreignKeyParts(this.#constraint);
    const source = (of: PlannedTable, target: string) =>
      quoteName(of.columns.find((column) => column.target === target)?.source ?? target);
    const own = quoteName(table.name);
    const same = parts.columns.map((name, at) => {
      const parent = `lifeboat_parent.${source(this.#parent, parts.parentColumns[at] ?? "")}`;
      const child = `${own}.${source(table, name)}`;
      // By the index, and then to the bit, as Postgres compares.
      return `${parent} = ${child} AND ${parent} = ${child} COLLATE BINARY`;
    });
    return `EXISTS (SELECT 1 FROM ${quoteName(this.#parent.name)} AS lifeboat_parent WHERE ${same.join(" AND ")})`;
  }
}
