import type { Finding } from "@lifeboat/core";
import type { ArchiveChoice } from "./watch-server.ts";

/** What is no want where the WAL is streamed. */
const OF_ARCHIVE_COMMAND: ReadonlySet<string> = new Set([
  "archive-mode-off",
  "archive-timeout-off",
]);

/** The findings that hold for the way in which WAL gets into the repository, each with the remedy that fits it. */
export function findingsFor(findings: readonly Finding[], { mode }: ArchiveChoice): Finding[] {
  if (mode === "command") return [...findings];
  return findings
    .filter(({ id }) => !OF_ARCHIVE_COMMAND.has(id))
    .map((finding) =>
      // Nobody will take what the archiver keeps: with a receiver the server needs no archiver at all.
      finding.id === "archive-command-empty"
        ? {
            ...finding,
            remedy:
              "archive.mode is receive, which needs no archiver: alter system set archive_mode = off; then restart the server",
          }
        : finding,
    );
}
