import { migrationRecordId, Repository, RepositoryMemory } from "@lifeboat/core";
import { CUTOVER_STEPS, type CutoverStepId } from "@lifeboat/migrate";
import { filesystemStorage } from "@lifeboat/storage";

/** Writes the record of a cutover that was taken back since, with the seconds of its steps; 0 where left out. */
export async function recordedCutover(
  path: string,
  app: string,
  seconds: Partial<Record<CutoverStepId, number>>,
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
    id: migrationRecordId(startedAt, "cutover"),
    app,
    migration: null,
    verb: "cutover",
    user: "somebody",
    host: "somewhere",
    startedAt: at,
    finishedAt: at,
    seconds: 2,
    live: "sqlite",
    steps: CUTOVER_STEPS.map(({ id, title }) => ({
      title,
      ok: true,
      message: "",
      seconds: seconds[id] ?? 0,
    })),
    details: { holdSeconds: 0.02, switchSeconds: 1.5 },
  });
}
