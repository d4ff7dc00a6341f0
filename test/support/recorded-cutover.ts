import { migrationRecordId, Repository, RepositoryMemory } from "@lifeboat/core";
import { CUTOVER_STEPS, type CutoverStepId } from "@lifeboat/migrate";
import { filesystemStorage } from "@lifeboat/storage";

/** Writes the record of a cutover that was taken back since, or of a rehearsal, with the seconds of its steps; 0 where left out. */
export async function recordedCutover(
  path: string,
  app: string,
  seconds: Partial<Record<CutoverStepId, number>>,
  verb: "cutover" | "rehearse" = "cutover",
  details: Readonly<Record<string, unknown>> = { holdSeconds: 0.02, switchSeconds: 1.5 },
): Promise<void> {
  const repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app,
    memory: new RepositoryMemory(`${path}-memory`),
    mode: "read",
  });
  const startedAt = new Date();
  const at = startedAt.toISOString();
  await repository.writeMigrationRecord({
    ok: true,
    id: migrationRecordId(startedAt, verb),
    app,
    migration: null,
    verb,
    user: "somebody",
    host: "somewhere",
    startedAt: at,
    finishedAt: at,
    seconds: 2,
    live: null,
    steps: CUTOVER_STEPS.map(({ id, title }) => ({
      title,
      ok: true,
      message: "",
      seconds: seconds[id] ?? 0,
    })),
    details,
  });
}
