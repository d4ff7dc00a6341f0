import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import { type Scope, translate } from "../expression/translate-expression.ts";
import { asCondition, asValue, type ValueType } from "../expression/translated.ts";
import { translateDefault } from "../map/default-value.ts";
import type { MappedTable } from "../map/map-foreign-keys.ts";
import { tableScope } from "../map/table-scope.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";
import { isSign, type Token, tokensOf } from "../sqlite/tokens.ts";

/** The row before and after the write that fires a trigger. */
export type SeenRow = "new" | "old";

/** SQLite's own names of a rowid, which may be a column. */
const ROWID = /^(rowid|_rowid_|oid)$/i;

/** The classes that a column of a codec takes as they are. */
const TAKES: Readonly<Record<string, readonly ValueType[]>> = {
  integer: ["integer"],
  real: ["real", "number", "integer"],
  number: ["real", "number", "integer"],
  "number-real": ["real", "number", "integer"],
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
    const named = this.#named(sql);
    // A value that another column holds in the same form is only handed on.
    if (named?.column.codec === column.codec && named.column.type === column.type)
      return `${named.prefix}${quoteName(named.column.target)}`;
    // A word alone is a text where it is a default, and a column here.
    const known = named ? null : translateDefault(sql, column);
    if (known !== null) return known;
    const { sql: translated, type } = asValue(translate(parseExpression(sql), this.#scope));
    if (type === "null" || TAKES[column.codec]?.includes(type)) return translated;
    throw new Untranslatable(`${column.source} is ${column.type} in Postgres and gets a ${type}`);
  }

  /** The column that an expression names and nothing more. */
  #named(sql: string): { readonly column: PlannedColumn; readonly prefix: string } | null {
    const [first, dot, second, ...more] = tokensOf(sql);
    const isName = (token: Token | undefined) => token?.kind === "word" || token?.kind === "quoted";
    if (!first || !isName(first) || more.length > 0) return null;
    if (dot && !(isSign(dot, ".") && isName(second))) return null;
    const place = this.#placeOf(dot ? first.text : null);
    const column = place && columnOf(place.table, (second ?? first).text);
    return place && column ? { column, prefix: place.prefix } : null;
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
