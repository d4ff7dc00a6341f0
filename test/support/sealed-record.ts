import {
  type EngineKind,
  type MigrationRecord,
  migrationRecordId,
  Repository,
  RepositoryMemory,
} from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";

/** Writes the record of a verb that moved a product, or of one that moved none, as the verb would. */
export async function sealedRecord(
  path: string,
  app: string,
  startedAt: Date,
  verb: string,
  live: EngineKind | null,
  details: MigrationRecord["details"] = {},
  steps: MigrationRecord["steps"] = [],
): Promise<void> {
  const repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app,
    memory: new RepositoryMemory(`${path}-memory`),
    mode: "read",
  });
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
    seconds: 0,
    live,
    steps,
    details,
  });
}
