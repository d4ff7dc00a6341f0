import type { PlannedTable } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import type { CapturedTable } from "./captured-table.ts";
import { type Conflict, replacedRows } from "./replaced-rows.ts";
import { identityColumns, identityList, identityOf, logColumns } from "./row-identity.ts";

/**
 * The triggers that log each row which a statement writes or removes. AFTER triggers alone are not enough: with
 * `recursive_triggers` off (the default) a REPLACE removes the rows in its way without firing their DELETE
 * triggers (lang_conflict.html), so BEFORE triggers log these first. A row logged without need is read once more and
 * does no harm.
 */
export function captureTriggers(table: CapturedTable): readonly string[] {
  const { number, planned } = table;
  const on = quoteName(planned.name);
  const into = intoLog(table);
  const log = (row: "new" | "old") => `${into} VALUES (${number}, ${identityOf(row, planned)});`;
  // Most updates leave the key alone, and then it is logged once.
  const movedFrom = `${into} SELECT ${number}, ${identityOf("old", planned)} WHERE ${hasMoved(planned)};`;
  const named = (event: string) => `CREATE TRIGGER lifeboat_capture_${number}_${event}`;
  return [
    `${named("insert")} AFTER INSERT ON ${on} BEGIN ${log("new")} END`,
    `${named("update")} AFTER UPDATE ON ${on} BEGIN ${log("new")} ${movedFrom} END`,
    `${named("delete")} AFTER DELETE ON ${on} BEGIN ${log("old")} END`,
    ...replaceTriggers(table, into),
  ];
}

function replaceTriggers(table: CapturedTable, into: string): readonly string[] {
  const { number, planned } = table;
  const on = quoteName(planned.name);
  const conflicts = replacedRows(table);
  if (conflicts.length === 0) return [];
  const bodies = conflicts.map(
    ({ where }) => `${into} SELECT ${number}, ${identityList(planned)} FROM ${on} WHERE ${where};`,
  );
  return [
    ["insert", "INSERT"],
    ["update", `UPDATE${ofColumns(conflicts)}`],
  ].map(
    ([name, event]) =>
      `CREATE TRIGGER lifeboat_replace_${number}_${name} BEFORE ${event} ON ${on} BEGIN ${bodies.join(" ")} END`,
  );
}

/** Where columns tell, other updates are spared the trigger. */
function ofColumns(conflicts: readonly Conflict[]): string {
  const columns = new Set<string>();
  for (const conflict of conflicts) {
    if (conflict.columns === null) return "";
    for (const column of conflict.columns) columns.add(column);
  }
  return ` OF ${nameList([...columns])}`;
}

/** Whether an update gave the row another identity, to the byte: the columns' collations may call it the same. */
function hasMoved(planned: PlannedTable): string {
  return identityColumns(planned)
    .map(quoteName)
    .map(
      (name) =>
        `old.${name} COLLATE BINARY IS NOT new.${name} COLLATE BINARY OR typeof(old.${name}) IS NOT typeof(new.${name})`,
    )
    .join(" OR ");
}

function intoLog({ planned }: CapturedTable): string {
  const columns = logColumns(identityColumns(planned).length);
  return `INSERT INTO ${LOG_TABLE} (tbl, ${columns.join(", ")})`;
}
