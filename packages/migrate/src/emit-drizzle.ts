import {
  checkCondition,
  foreignKeyParts,
  type IndexTerm,
  indexParts,
  keyParts,
} from "./constraint-parts.ts";
import { columnSource } from "./emit-drizzle/column.ts";
import { Identifiers } from "./emit-drizzle/identifiers.ts";
import { literal, NO_NAME, OWN_TABLE, SourceOf, sqlTemplate } from "./emit-drizzle/source-of.ts";
import {
  type MigrationPlan,
  type PlannedConstraint,
  type PlannedIndex,
  type PlannedTable,
  unansweredErrors,
} from "./plan.ts";

/** How every emitted file begins, by which it is known again. */
export const DRIZZLE_HEADER = "// Written by `lifeboat migrate plan --emit drizzle`";

/**
 * The Postgres schema of a plan as source in TypeScript for drizzle-orm/pg-core: every table with its columns, keys, indexes,
 * foreign keys and CHECKs, under their exact names. The same plan gives the same text. What drizzle has no word for
 * (NOT VALID, DEFERRABLE, views) stands beside it as a comment.
 */
export function drizzleSource(plan: MigrationPlan): string {
  return new Emission(plan).text();
}

class Emission {
  readonly #plan: MigrationPlan;
  readonly #source = new SourceOf();
  readonly #columns = new Map<string, Identifiers>();
  readonly #schema: string | null;

  constructor(plan: MigrationPlan) {
    this.#plan = plan;
    // First of all: drizzle knows schema public by leaving it out.
    this.#schema =
      plan.schema === "public" ? null : this.#source.variables.of(plan.schema, NO_NAME);
    for (const table of plan.tables) {
      this.#source.variables.of(table.target);
      this.#columns.set(table.target, Identifiers.ofColumns());
    }
  }

  text(): string {
    const tables = this.#plan.tables.flatMap((table) => ["", ...this.#table(table)]);
    const schema = this.#schemaLines();
    const lines = [...this.#header(), ...this.#source.head(), ...schema, ...tables, ...this.#end()];
    return `${lines.join("\n")}\n`;
  }

  #header(): string[] {
    const open = unansweredErrors(this.#plan).length;
    return [
      `${DRIZZLE_HEADER} from ${literal(this.#plan.source.file)}.`,
      ...(open > 0
        ? [
            `// NOT FINAL: errors of the plan are to be answered first (${open}), and columns may change by that.`,
          ]
        : []),
    ];
  }

  #schemaLines(): string[] {
    if (this.#schema === null) return [];
    const call = `${this.#source.imported("pgSchema")}(${literal(this.#plan.schema)})`;
    return ["", `export const ${this.#schema} = ${call};`];
  }

  #table(table: PlannedTable): string[] {
    const make = this.#schema === null ? this.#source.imported("pgTable") : `${this.#schema}.table`;
    const open = `export const ${this.#variable(table.target)} = ${make}(`;
    const name = literal(table.target);
    const key = plainKey(table);
    const columns = table.columns.map((column) => {
      const isKey = key?.column === column.target;
      const declared = columnSource(this.#source, column);
      return `${this.#column(table.target, column.target)}: ${declared}${isKey ? ".primaryKey()" : ""},`;
    });
    const extras = this.#extras(table, key?.constraint);
    if (extras.length === 0)
      return [`${open}${name}, {`, ...columns.map((line) => `  ${line}`), "});"];
    return [
      open,
      `  ${name},`,
      "  {",
      ...columns.map((line) => `    ${line}`),
      "  },",
      `  (${OWN_TABLE})${this.#returnType(table)} => [`,
      ...extras.map((line) => `    ${line}`),
      "  ],",
      ");",
    ];
  }

  /** Tables that refer to each other, or to themselves, can't be inferred from one another. */
  #returnType(table: PlannedTable): string {
    const { tables } = this.#plan;
    const isLater = (target: string) =>
      tables.findIndex((one) => one.target === target) >= tables.indexOf(table);
    const refers = table.constraints
      .filter(({ kind }) => kind === "foreign-key")
      .some((one) => isLater(foreignKeyParts(one).parent));
    return refers ? `: ${this.#source.importedType("PgTableExtraConfigValue")}[]` : "";
  }

  #extras(table: PlannedTable, plain: PlannedConstraint | undefined): string[] {
    return [
      ...table.constraints
        .filter((one) => one !== plain)
        .flatMap((one) => this.#constraint(table, one)),
      ...table.indexes.map((one) => this.#index(table, one)),
    ];
  }

  #constraint(table: PlannedTable, one: PlannedConstraint): string[] {
    const name = literal(one.name);
    const note = one.validated ? [] : ["// NOT VALID: rows that break it were kept."];
    switch (one.kind) {
      case "primary-key": {
        const columns = this.#list(table, keyParts(one));
        return [
          `${this.#source.imported("primaryKey")}({ name: ${name}, columns: [${columns}] }),`,
        ];
      }
      case "unique":
        return [
          `${this.#source.imported("unique")}(${name}).on(${this.#list(table, keyParts(one))}),`,
        ];
      case "check":
        return [
          ...note,
          `${this.#source.imported("check")}(${name}, ${sqlTemplate(this.#source, checkCondition(one))}),`,
        ];
      case "foreign-key":
        return [...note, ...this.#foreignKey(table, one)];
    }
  }

  #foreignKey(table: PlannedTable, one: PlannedConstraint): string[] {
    const parts = foreignKeyParts(one);
    const parent = this.#variable(parts.parent);
    const foreign = parts.parentColumns
      .map((column) => `${parent}.${this.#column(parts.parent, column)}`)
      .join(", ");
    const action = (event: string, does: string) =>
      does === "NO ACTION" ? [] : [`.${event}(${literal(does.toLowerCase())})`];
    const actions = [
      ...action("onUpdate", parts.onUpdate),
      ...action("onDelete", parts.onDelete),
    ].join("");
    return [
      ...(parts.isDeferred ? ["// DEFERRABLE INITIALLY DEFERRED in the database."] : []),
      `${this.#source.imported("foreignKey")}({`,
      `  name: ${literal(one.name)},`,
      `  columns: [${this.#list(table, parts.columns)}],`,
      `  foreignColumns: [${foreign}],`,
      `})${actions},`,
    ];
  }

  #index(table: PlannedTable, index: PlannedIndex): string {
    const { terms, where } = indexParts(index);
    const make = this.#source.imported(index.unique ? "uniqueIndex" : "index");
    const on = terms.map((term) => this.#indexTerm(table, term)).join(", ");
    const partial = where === null ? "" : `.where(${sqlTemplate(this.#source, where)})`;
    return `${make}(${literal(index.name)}).on(${on})${partial},`;
  }

  #indexTerm(table: PlannedTable, { column, sql, isDescending }: IndexTerm): string {
    if (column === null) return sqlTemplate(this.#source, isDescending ? `${sql} DESC` : sql);
    const own = `${OWN_TABLE}.${this.#column(table.target, column)}`;
    // DESC puts NULLs first in Postgres, and drizzle's desc() alone puts them last.
    return isDescending ? `${own}.desc().nullsFirst()` : own;
  }

  #end(): string[] {
    const { views } = this.#plan;
    if (views.length === 0) return [];
    const names = views.map(({ target }) => literal(target)).join(", ");
    return ["", `// Views that the load makes too: ${names}.`];
  }

  #list(table: PlannedTable, columns: readonly string[]): string {
    return columns.map((column) => `${OWN_TABLE}.${this.#column(table.target, column)}`).join(", ");
  }

  #variable(target: string): string {
    return this.#source.variables.of(target);
  }

  #column(table: string, column: string): string {
    const columns = this.#columns.get(table);
    if (!columns) throw new Error(`table ${table} is not in the plan`);
    return columns.of(column);
  }
}

/** A key of one column under the name that Postgres gives it by itself: drizzle says it with the column. */
function plainKey(
  table: PlannedTable,
): { readonly column: string; readonly constraint: PlannedConstraint } | null {
  const constraint = table.constraints.find((one) => one.kind === "primary-key");
  if (!constraint || constraint.name !== `${table.target}_pkey`) return null;
  const [column, another] = keyParts(constraint);
  return column !== undefined && another === undefined ? { column, constraint } : null;
}
