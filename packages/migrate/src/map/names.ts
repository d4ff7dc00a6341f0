import { createHash } from "node:crypto";

/** NAMEDATALEN - 1: Postgres cuts longer names without an error, so that two become one. */
const MAX_NAME_BYTES = 63;

/** Postgres manual, "System Columns": no user column may bear these names. Nor the one that we add for a while, see `kept-rowid.ts`. */
const TAKEN_COLUMNS = new Set([
  "tableoid",
  "xmin",
  "cmin",
  "xmax",
  "cmax",
  "ctid",
  "lifeboat_rowid",
]);

/**
 * The name of a column in Postgres: its own, unless Postgres can't have it.
 * @param others names of the table's columns, this one may be among them
 */
export function columnName(name: string, others: readonly string[]): string {
  if (!TAKEN_COLUMNS.has(name)) return fittingName(name);
  let free = `${name}_`;
  while (others.includes(free)) free += "_";
  return free;
}

/** The name itself, or for one that is too long or empty a shorter one that no other name gets. */
export function fittingName(name: string): string {
  if (name !== "" && Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  const room = MAX_NAME_BYTES - digest.length - 1;
  return `${cutToBytes(name === "" ? "unnamed" : name, room)}_${digest}`;
}

function cutToBytes(name: string, bytes: number): string {
  let cut = name;
  while (Buffer.byteLength(cut) > bytes) cut = [...cut].slice(0, -1).join("");
  return cut;
}

/** Gives out names of relations and constraints, each once. Tables, indexes and views share one space. */
export class NameSpace {
  readonly #taken = new Set<string>();

  take(wanted: string): string {
    const base = fittingName(wanted);
    let name = base;
    for (let count = 2; this.#taken.has(name); count++) name = fittingName(`${base}_${count}`);
    this.#taken.add(name);
    return name;
  }
}
