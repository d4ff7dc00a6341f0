import { rm } from "node:fs/promises";
import { execa } from "execa";
import { inTurn } from "../measure.ts";
import { comparedRow, type Row } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { Subject } from "./backup-rows.ts";

/** SQLite's own ways to a consistent copy, by its shell; they neither compress, nor digest, nor confirm. */
export async function otherWaysRows(
  { name, path, command }: Subject,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  if ((await execa("sqlite3", ["-version"], { reject: false })).failed) {
    workplace.leftOut.push("`sqlite3 .backup` and `VACUUM INTO`: `apt-get install sqlite3`");
    return [];
  }
  const copy = workplace.at("copy.db");
  const before = () => rm(copy, { force: true });
  const [ours, backup, vacuum] = await inTurn(
    [
      { name: "lifeboat backup", command: `${command.line} backup --quiet` },
      {
        name: "sqlite3 .backup",
        // Pinned by a read transaction: else it begins anew at each commit of another process.
        command: `sqlite3 ${path} 'BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;' '.backup ${copy}' >/dev/null && sync ${copy}`,
        before,
      },
      {
        name: "VACUUM INTO",
        command: `sqlite3 ${path} "VACUUM INTO '${copy}'" && sync ${copy}`,
        before,
      },
    ],
    runs,
  );
  const row = (peer: string, theirs: typeof backup) =>
    comparedRow({
      what: `${name}: backup, stored`,
      ours: ours.map(({ seconds }) => seconds),
      peer,
      theirs: theirs.map(({ seconds }) => seconds),
      unit: "s",
    });
  return [
    row("`sqlite3 .backup` pinned, fsync, not packed", backup),
    row("`VACUUM INTO`, fsync, not packed", vacuum),
  ];
}
