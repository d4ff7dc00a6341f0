import type { RestoredReport, RestoreReport } from "@lifeboat/core";
import { alsoFindings } from "./findings.ts";
import { facts } from "./table.ts";
import { duration, size } from "./units.ts";

/** Where the copies lie, up to when they hold data, and what is left to do. */
export function showRestore(report: RestoreReport & { readonly start: string | null }): string {
  const copies = report.databases.map((copy) => showOne(copy, report.start));
  return `${copies.join("\n")}${alsoFindings(report.findings)}`;
}

function showOne(copy: RestoredReport, start: string | null): string {
  return facts([
    ["restored", copy.path],
    ["from backup", `${copy.backup} (${copy.engine} ${copy.database})`],
    ["size", `${size(copy.bytes)} in ${duration(copy.seconds)}`],
    ...deltaOf(copy),
    ...recoveryOf(copy),
    ...(copy.extracted === null
      ? []
      : [
          ["extracted", `${copy.extracted.name}, ${size(copy.extracted.bytes)}`] as const,
          ...(copy.extracted.notes ?? []).map((note) => ["", note] as const),
        ]),
    ...(start === null ? [] : [["start it with", start] as const]),
    ...(start === null || copy.recoveredTo !== null ? [] : [RECOVERED_WHEN]),
  ]);
}

function deltaOf({ delta, verified }: RestoredReport): [string, string][] {
  const facts: [string, string][] = [];
  if (delta) {
    const { bytesKept, bytesWritten, filesRemoved } = delta;
    const files = `${filesRemoved} ${filesRemoved === 1 ? "file" : "files"} removed`;
    facts.push(["kept", `${size(bytesKept)}; ${size(bytesWritten)} written, ${files}`]);
  }
  if (verified) facts.push(["checked by", `${verified.program} in ${duration(verified.seconds)}`]);
  return facts;
}

/** It answers queries before it is done, from a state that is older than the one that was asked for. */
const RECOVERED_WHEN = ["it is done when", "select pg_is_in_recovery() answers f"] as const;

function recoveryOf(copy: RestoredReport): [string, string][] {
  const { recoveredTo, recoveredLsn, willRecoverTo } = copy;
  const place = recoveredLsn === null ? "" : ` (WAL replayed up to ${recoveredLsn})`;
  if (recoveredTo !== null) return [["holds the state of", `${recoveredTo}${place}`]];
  const until = willRecoverTo.time ?? (willRecoverTo.lsn && `WAL position ${willRecoverTo.lsn}`);
  return [["recovers when started", until ? `to ${until}` : "to the end of the archive"]];
}
