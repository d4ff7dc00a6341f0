import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { historyName, type WalFile } from "../wal/segment-name.ts";

/**
 * Where the history of a segment's timeline lies beside it, if the server will never hand that to its `archive_command`: it notes at
 * promotion what is to be archived, and one that was promoted without archiving (`restore --replay` does so, in private) notes
 * nothing. Without its history no recovery can follow a timeline, and the next restore would begin another of the same number.
 * @param path of the segment, in `pg_wal`
 */
export function unarchivedHistory(path: string, file: WalFile): string | undefined {
  if (file.kind === "history" || file.timeline === 1) return undefined;
  const name = historyName(file.timeline);
  const folder = dirname(path);
  const isNoted = ["ready", "done"].some((state) =>
    existsSync(join(folder, "archive_status", `${name}.${state}`)),
  );
  const history = join(folder, name);
  return !isNoted && existsSync(history) ? history : undefined;
}
