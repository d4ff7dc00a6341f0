/** Words that no variable of a module may bear (ECMAScript, "Keywords and Reserved Words"). */
const RESERVED =
  `arguments await break case catch class const continue debugger default delete do else enum eval export extends
  false finally for function if implements import in instanceof interface let new null package private protected public return
  static super switch this throw true try typeof undefined var void while with yield NaN Infinity`.split(
    /\s+/,
  );

/** What a table of drizzle has for itself beside its columns. */
const TABLE_MEMBERS = ["_", "enableRLS", "getSQL", "shouldOmitSQLParens", "constructor"];

/** Gives each name of a database an identifier, in the order asked for: its own in camel case where that is free. */
export class Identifiers {
  readonly #taken: Set<string>;
  readonly #given = new Map<string, string>();

  private constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** Of variables, beside those that the module has otherwise. */
  static ofVariables(others: Iterable<string>): Identifiers {
    return new Identifiers([...RESERVED, ...others]);
  }

  /** Of the columns of one table. */
  static ofColumns(): Identifiers {
    return new Identifiers(TABLE_MEMBERS);
  }

  /** @param key what it is of, where that is no name alone */
  of(name: string, key: string = name): string {
    const given = this.#given.get(key);
    if (given !== undefined) return given;
    const base = camelCase(name);
    let identifier = this.#taken.has(base) ? `${base}_` : base;
    for (let count = 2; this.#taken.has(identifier); count++) identifier = `${base}_${count}`;
    this.#taken.add(identifier);
    this.#given.set(key, identifier);
    return identifier;
  }
}

/** `api_key` becomes `apiKey`; what no identifier may hold parts words too. */
function camelCase(name: string): string {
  const words = name.split(/(?:_|[^\p{ID_Continue}$])+/u).filter((word) => word !== "");
  const joined = words
    .map((word, at) => (at === 0 ? word : word.replace(/^./u, (first) => first.toUpperCase())))
    .join("");
  return /^[\p{ID_Start}$]/u.test(joined) ? joined : `_${joined}`;
}
