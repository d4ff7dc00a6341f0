import type { RestoredReport, RestoreReport } from "@lifeboat/core";
import { alsoFindings } from "./findings.ts";
import { facts } from "./table.ts";
import { duration, size } from "./units.ts";

/** Where the copies lie, up to when they hold data, and what is left to do. */
export function showRestore(report: RestoreReport): string {
  return `${report.databases.map(showOne).join("\n")}${alsoFindings(report.findings)}`;
}

function showOne(copy: RestoredReport): string {
  return facts([
    ["restored", copy.path],
    ["from backup", `${copy.backup} (${copy.engine} ${copy.database})`],
    ["size", `${size(copy.bytes)} in ${duration(copy.seconds)}`],
    ...recoveryOf(copy),
  ]);
}

function recoveryOf({ recoveredTo, willRecoverTo, path }: RestoredReport): [string, string][] {
  if (recoveredTo !== null) return [["holds the state of", recoveredTo]];
  const until = willRecoverTo.time ?? (willRecoverTo.lsn && `WAL position ${willRecoverTo.lsn}`);
  return [
    ["recovers when started", until ? `to ${until}` : "to the end of the archive"],
    ["start it with", `pg_ctl start -D ${path}`],
  ];
}
