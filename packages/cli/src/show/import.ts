import type { ImportReport } from "@lifeboat/postgres";
import { facts } from "./table.ts";
import { duration } from "./units.ts";

/** What was loaded, and what a load leaves to do. */
export function showImport(report: ImportReport): string {
  return facts([
    ["imported", report.from],
    ["into", report.into],
    ["tables", String(report.tables)],
    ["took", duration(report.seconds)],
    ["not loaded", "settings of the database itself (alter database … set), passwords of roles"],
  ]);
}
