import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine, Problem } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { reachOf } from "./reach-of.ts";
import type { Repository } from "./repository.ts";

/** What of a log is proved to be gone, for who asks how an app stands or restores what there is. */
export function lostLogFindings(
  problems: readonly Problem[],
  severity: "error" | "warning",
): Finding[] {
  return problems.map(({ message }) => ({
    id: "log-lost",
    severity,
    summary: message,
    remedy:
      "bring it back from a copy of the repository; what is committed from now on is restorable behind a new backup: lifeboat backup",
  }));
}

/** The same, looked for: a log that lost its end leads to an older state, and looks as if there had never been another. */
export async function lostOfLog(
  repository: Repository,
  engine: Engine,
  folder: DatabaseFolder,
): Promise<readonly Problem[]> {
  const { records } = await repository.drills();
  const { manifests } = await repository.backups(folder);
  const { lost } = await reachOf(engine, folder, manifests);
  return (await lost?.(records)) ?? [];
}
