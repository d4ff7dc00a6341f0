import { Identifiers } from "./identifiers.ts";

const DRIZZLE = "drizzle-orm";

/** Everything of drizzle that an emitted file may import, which no variable of it may be named like. */
const IMPORTABLE =
  `bigint boolean check customType date doublePrecision foreignKey index json jsonb numeric pgSchema pgTable primaryKey
  PgTableExtraConfigValue text time timestamp unique uniqueIndex uuid`.split(/\s+/);

/** In no name of Postgres: what bears it is no table. */
export const NO_NAME = "\0";

/** The parameter by which a table's constraints name its columns. */
export const OWN_TABLE = "table";

/** What one emitted file imports and names. */
export class SourceOf {
  readonly variables = Identifiers.ofVariables([...IMPORTABLE, "sql", OWN_TABLE]);
  readonly #imports = new Set<string>();
  readonly #importedTypes = new Set<string>();
  readonly #customTypes = new Map<string, string>();
  #usesSql = false;

  /** The name of an import, which the file then has. */
  imported(name: string): string {
    if (!IMPORTABLE.includes(name)) throw new Error(`drizzle's ${name} is not among the imports`);
    this.#imports.add(name);
    return name;
  }

  importedType(name: string): string {
    this.#importedTypes.add(name);
    return name;
  }

  sql(): string {
    this.#usesSql = true;
    return "sql";
  }

  /** The variable of a type that drizzle has no builder for. */
  customType(type: string): string {
    const known = this.#customTypes.get(type);
    if (known !== undefined) return known;
    this.imported("customType");
    const variable = this.variables.of(type, `${type}${NO_NAME}`);
    this.#customTypes.set(type, variable);
    return variable;
  }

  /** The lines above the tables. */
  head(): string[] {
    const typeNames = [...this.#importedTypes].toSorted().map((name) => `type ${name}`);
    const names = [...this.#imports].toSorted().concat(typeNames);
    const types = [...this.#customTypes].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return [
      ...(this.#usesSql ? [`import { sql } from ${literal(DRIZZLE)};`] : []),
      ...(names.length > 0
        ? [
            "import {",
            ...names.map((name) => `  ${name},`),
            `} from ${literal(`${DRIZZLE}/pg-core`)};`,
          ]
        : []),
      ...types.flatMap(([type, variable]) => ["", customTypeSource(type, variable)]),
    ];
  }
}

function customTypeSource(type: string, variable: string): string {
  const data = type === "bytea" ? "Uint8Array" : "string";
  return `const ${variable} = customType<{ data: ${data} }>({ dataType: () => ${literal(type)} });`;
}

/** A name as a literal that is one line, also in a comment: JavaScript ends a line at these two as well. */
export function literal(name: string): string {
  return JSON.stringify(name).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** SQL as drizzle takes it, to the letter. */
export function sqlTemplate(source: SourceOf, sql: string): string {
  const text = sql
    .replaceAll("\\", "\\\\")
    .replaceAll("`", "\\`")
    .replaceAll("${", "\\${")
    // A template reads a carriage return as a line end.
    .replaceAll("\r", "\\r");
  return `${source.sql()}\`${text}\``;
}
