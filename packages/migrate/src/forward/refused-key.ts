import { refusedRows } from "../load/copy-table.ts";
import { targetError } from "../target/target-error.ts";
import { refusedValue } from "./refused-value.ts";
import type { TouchedRows } from "./touched-rows.ts";

/** Where the keys of a table begin in the one COPY of the keys of all. */
export interface KeysBegin {
  readonly of: TouchedRows;
  readonly line: number;
}

/** Names the table of a key that is refused: the server tells the line of the COPY; SQLite refuses as the last table of them is read. */
export function refusedKey(begins: readonly KeysBegin[], cause: unknown): unknown {
  const { where = "" } = (cause ?? {}) as { where?: string };
  const [, line] = /^COPY .*?, line (\d+)/s.exec(where) ?? [];
  const isBefore = (begin: KeysBegin) => line === undefined || begin.line <= Number(line);
  const table = begins.findLast(isBefore)?.of.table;
  if (!table) return targetError(cause);
  return refusedValue(table, cause) ?? refusedRows(table, targetError(cause));
}
