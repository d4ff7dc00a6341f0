import type { Database, Statement } from "better-sqlite3";
import { quoteName } from "./quote.ts";
import { SHAPES } from "./text-shape.ts";

/** Some rows of a table: what stands after FROM, and its parameters. */
export interface Part {
  readonly from: string;
  readonly values: readonly unknown[];
}

const asked = new WeakMap<Database, Statement<[Buffer], number[]>>();

/**
 * The shapes of the first text of a column, which are few: no other can be that of all its texts, and to ask every text for every
 * shape takes longer than all else.
 */
export function firstShapes(db: Database, { from, values }: Part, column: string): Set<string> {
  const c = quoteName(column);
  // By its bytes: JavaScript would mend what is no UTF-8.
  const first = db
    .prepare<unknown[], Buffer>(
      `SELECT CAST(${c} AS BLOB) FROM (SELECT ${c} FROM ${from}) WHERE typeof(${c}) = 'text' LIMIT 1`,
    )
    .pluck()
    .get(...values);
  const answers = first === undefined ? [] : (statementOf(db).get(first) ?? []);
  return new Set([...SHAPES.keys()].filter((_, at) => Number(answers[at]) === 1));
}

function statementOf(db: Database): Statement<[Buffer], number[]> {
  const known = asked.get(db);
  if (known) return known;
  const tests = [...SHAPES.values()].map((test) => `coalesce((${test("c")}), 0)`).join(", ");
  const made = db
    .prepare<[Buffer], number[]>(`SELECT ${tests} FROM (SELECT CAST(? AS TEXT) AS c)`)
    .raw();
  asked.set(db, made);
  return made;
}
