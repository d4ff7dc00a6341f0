import type { Finding } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { Way } from "../details.ts";

/** What the engineer should know about a good backup. */
export function snapshotFindings(
  path: string,
  way: Way,
  how: {
    readonly heldMilliseconds: number;
    readonly streamed: boolean;
    /** For how long it was tried to hold the file still. */
    readonly patienceMs: number;
  },
): readonly Finding[] {
  const findings: Finding[] = [];
  if (way === "shared-lock")
    findings.push({
      id: "sqlite-rollback-journal",
      severity: "warning",
      summary: `${path} is not in WAL mode: nobody could commit for ${Math.ceil(how.heldMilliseconds)} ms while it was copied`,
      remedy: `switch it to WAL once, with the app stopped: sqlite3 ${shellWord(path)} "PRAGMA journal_mode=WAL"`,
    });
  if (way === "backup-api")
    findings.push({
      id: "sqlite-old-reader",
      severity: "warning",
      summary: `${path} was copied through SQLite's backup API, slower, since for ${how.patienceMs / 1000} s its WAL could not be copied back: by a long transaction of the app, a disk without room for it, or a lifeboat watch that this backup could not ask`,
      remedy:
        "end transactions of the app soon after their last row (lifeboat doctor names the process, and a full disk); beside a watch back up as its account, into its repository",
    });
  if (how.streamed)
    findings.push({
      id: "sqlite-no-room-for-copy",
      severity: "warning",
      summary: `there was no room for a raw copy of ${path}: it was held still until all of it was compressed and stored`,
      remedy: "make room of its size beside it or in the temporary folder",
    });
  return findings;
}
