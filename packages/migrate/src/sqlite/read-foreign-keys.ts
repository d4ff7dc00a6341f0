import type { Database } from "better-sqlite3";
import { quoteText } from "../quote.ts";
import type { SqliteForeignKey } from "./schema.ts";

interface KeyRow {
  readonly id: bigint;
  readonly table: string;
  readonly from: string;
  readonly to: string | null;
  readonly on_update: string;
  readonly on_delete: string;
}

/**
 * The foreign keys of a table in the order of declaration.
 * @param deferred for each, in that order, whether it is DEFERRABLE INITIALLY DEFERRED
 */
export function readForeignKeys(
  db: Database,
  table: string,
  deferred: readonly boolean[],
): SqliteForeignKey[] {
  const rows = db
    .prepare<[], KeyRow>(
      `SELECT * FROM pragma_foreign_key_list(${quoteText(table)}) ORDER BY id DESC, seq`,
    )
    .all();
  const byId = Map.groupBy(rows, (row) => row.id);
  return [...byId.values()].map((parts, position) => readForeignKey(parts, deferred[position]));
}

function readForeignKey(parts: readonly KeyRow[], deferred: boolean | undefined): SqliteForeignKey {
  const [first] = parts as [KeyRow];
  const to = parts.flatMap((part) => (part.to === null ? [] : [part.to]));
  return {
    columns: parts.map((part) => part.from),
    parent: first.table,
    parentColumns: to.length === parts.length ? to : null,
    onDelete: first.on_delete,
    onUpdate: first.on_update,
    initiallyDeferred: deferred ?? false,
  };
}
