import { release } from "@lifeboat/core";
import { codecNamed } from "../codec/registry.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { canonInPostgres } from "./canon-columns.ts";
import { storedColumns } from "./logged-columns.ts";

/** The types whose values may be of any length. */
const OF_ANY_LENGTH = new Set(["text", "bytea", "json"]);
/** Of all long values of a row together. The driver holds a message three times over, and bytes as hexadecimal digits. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** What the values of a row take that may be long, as they are when they are not compressed. */
export function rowBytes(table: PlannedTable): string {
  const sizes = storedColumns(table)
    .filter(isLong)
    .map(({ target, type }) => {
      const value = quoteName(target);
      return `coalesce(octet_length(${type === "json" ? `${value}::text` : value}), 0)::bigint`;
    });
  return sizes.length === 0 ? "1" : sizes.join(" + ");
}

/** Whether a row is fetched piece by piece: whole, a value of 16 MB would take a hundred. */
export function isInPieces(table: PlannedTable, largest: number): boolean {
  return largest > PIECE_BYTES && storedColumns(table).some(isLong);
}

export interface RowSource {
  /** What stands behind FROM; it knows the columns of the table by their names. */
  readonly from: string;
  readonly mark: string;
  /** Digest of a row. */
  readonly digest: string;
  readonly order?: string | undefined;
}

/** The pieces of a row follow one another, and the last is numbered 0; what is not long comes with each. */
export function piecesSql(
  table: PlannedTable,
  { from, mark, digest, order = "" }: RowSource,
): string {
  const stored = storedColumns(table);
  const size = Math.floor(PIECE_BYTES / stored.filter(isLong).length);
  const name = (column: PlannedColumn) => `lifeboat_c${stored.indexOf(column)}`;
  const canons = stored.map(
    (column) =>
      `${isLong(column) ? canonBytes(column) : canonInPostgres(column)} AS ${name(column)}`,
  );
  const pieces = stored.map((column) =>
    isLong(column)
      ? `substring(${name(column)} FROM lifeboat_piece * ${size} + 1 FOR ${size})`
      : name(column),
  );
  const lengths = stored.filter(isLong).map((column) => `octet_length(${name(column)})`);
  const last = `greatest(1, ${lengths.join(", ")}) - 1) / ${size}`;
  // OFFSET 0 keeps the values from being uncompressed once for each piece; a function of the SELECT list gives all of one row before
  // it takes the next, whatever the plan of the rest.
  return `SELECT ${pieces.join(", ")}, lifeboat_digest, lifeboat_mark, lifeboat_last - lifeboat_piece
    FROM (SELECT *, generate_series(0, lifeboat_last) AS lifeboat_piece
          FROM (SELECT *, (${last} AS lifeboat_last
                FROM (SELECT ${canons.join(", ")}, ${digest} AS lifeboat_digest, ${mark} AS lifeboat_mark
                      FROM ${from} ${order} OFFSET 0) AS lifeboat_canons) AS lifeboat_rows) AS lifeboat_pieces`;
}

/** Puts rows together again; a long text stays the bytes that it came as, since those can be given back. Takes over the memory of the pieces. */
export class PieceJoiner {
  readonly #table: PlannedTable;
  #pieces: unknown[][] = [];

  constructor(table: PlannedTable) {
    this.#table = table;
  }

  /** @returns the row that this piece ends, if it does */
  add(piece: unknown[]): unknown[] | undefined {
    this.#pieces.push(piece.slice(0, -1));
    if (Number(piece.at(-1)) > 0) return undefined;
    const pieces = this.#pieces;
    this.#pieces = [];
    const stored = storedColumns(this.#table);
    return (pieces[0] ?? []).map((value, at) => {
      const column = stored[at];
      if (column === undefined || value === null || !isLong(column)) return value;
      return whole(pieces.map((one) => one[at] as Buffer));
    });
  }
}

function whole(parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(parts);
  for (const part of parts) release(part);
  return bytes;
}

function canonBytes(column: PlannedColumn): string {
  const canon = canonInPostgres(column);
  return codecNamed(column.codec).bytes ? canon : `convert_to(${canon}, 'UTF8')`;
}

function isLong({ type }: PlannedColumn): boolean {
  return OF_ANY_LENGTH.has(type);
}
