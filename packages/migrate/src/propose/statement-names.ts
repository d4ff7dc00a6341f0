import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import {
  asCondition,
  asValue,
  type Scope,
  translate,
  type ValueType,
} from "../expression/translate-expression.ts";
import { translateDefault } from "../map/default-value.ts";
import type { MappedTable } from "../map/map-foreign-keys.ts";
import { tableScope } from "../map/table-scope.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";

/** The row before and after the write that fires a trigger. */
export type SeenRow = "new" | "old";

/** SQLite's own names of a rowid, which may be a column. */
const ROWID = /^(rowid|_rowid_|oid)$/i;

/** The classes that a column of a codec takes as they are. */
const TAKES: Readonly<Record<string, readonly ValueType[]>> = {
  integer: ["integer"],
  real: ["real", "integer"],
  number: ["real", "integer"],
  "number-real": ["real", "integer"],
  text: ["text"],
  bytes: ["blob"],
};

/** What the expressions of a trigger may name: the row that fired it, and the table that a statement changes. */
export class StatementNames {
  readonly #fired: MappedTable;
  readonly #seen: readonly SeenRow[];
  readonly #changed: MappedTable | null;

  constructor(fired: MappedTable, seen: readonly SeenRow[], changed: MappedTable | null = null) {
    this.#fired = fired;
    this.#seen = seen;
    this.#changed = changed;
  }

  /** A condition in Postgres. @throws Untranslatable */
  condition(sql: string): string {
    return asCondition(translate(parseExpression(sql), this.#scope));
  }

  /** What a column gets, in the form that its codec gives it. @throws Untranslatable */
  value(column: PlannedColumn, sql: string): string {
    const known = translateDefault(sql, column) ?? this.#handedOn(column, sql);
    if (known !== null) return known;
    const { sql: translated, type } = asValue(translate(parseExpression(sql), this.#scope));
    if (type === "null" || TAKES[column.codec]?.includes(type)) return translated;
    throw new Untranslatable(`${column.source} is ${column.type} in Postgres and gets a ${type}`);
  }

  /** A value that another column holds in the same form. */
  #handedOn(column: PlannedColumn, sql: string): string | null {
    const expression = parseExpression(sql);
    if (expression.kind !== "column") return null;
    const place = this.#placeOf(expression.qualifier);
    const found = place && columnOf(place.table, expression.name);
    return found?.codec === column.codec && found.type === column.type
      ? `${place?.prefix}${quoteName(found.target)}`
      : null;
  }

  #placeOf(qualifier: string | null): { table: MappedTable; prefix: string } | null {
    if (qualifier !== null) {
      const row = this.#seen.find((one) => sameName(one, qualifier));
      if (row) return { table: this.#fired, prefix: `${row.toUpperCase()}.` };
    }
    const changed = this.#changed;
    const isOwn = changed && (qualifier === null || sameName(qualifier, changed.table.name));
    return isOwn ? { table: changed, prefix: "t." } : null;
  }

  readonly #scope: Scope = (qualifier, name) => {
    const place = this.#placeOf(qualifier);
    const found = place && columnOf(place.table, name);
    if (!place || !found) return null;
    return tableScope(place.table.table, place.table.columns, place.prefix)(null, found.source);
  };
}

/** A column by its name in SQLite, the rowid by any of its own. */
export function columnOf({ table, columns }: MappedTable, name: string): PlannedColumn | null {
  const named = (wanted: string) => columns.find((one) => sameName(one.source, wanted)) ?? null;
  return named(name) ?? (ROWID.test(name) && table.rowidAlias ? named(table.rowidAlias) : null);
}
