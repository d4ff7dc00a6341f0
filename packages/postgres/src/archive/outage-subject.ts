import type { DatabaseFolder } from "@lifeboat/core";

/** What each line begins with that a watch or a receiver of WAL writes into its log. */
export function subjectOf({ database }: DatabaseFolder): string {
  return `WAL of ${database}`;
}
