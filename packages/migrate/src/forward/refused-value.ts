import { LifeboatError } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { PlannedTable } from "../plan.ts";

const UNEXPECTED = /holds a value of class \w+ that its profile did not show/;

/** A value that came since the plan was made and that the plan has no place for; null where the cause is another. */
export function refusedValue(table: PlannedTable, cause: unknown): LifeboatError | null {
  const message = cause instanceof SqliteError || cause instanceof Error ? cause.message : "";
  const found = UNEXPECTED.exec(message);
  if (!found) return null;
  return new LifeboatError({
    code: "VALUE_NOT_PLANNED",
    message: `${message.slice(0, found.index)}${found[0]}`,
    remedy:
      "nothing was kept of it; SQLite has it. Set the value right there and run this again, or run lifeboat migrate abort, then plan and load anew",
    details: { table: table.name },
    cause,
  });
}
