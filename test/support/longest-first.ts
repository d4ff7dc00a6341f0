import { existsSync } from "node:fs";
import { join } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take long, the longest first. Where no run before has told (in CI none has), vitest begins with
 * the largest files; a long one that is small would begin last, and run on when the other worker has nothing left.
 */
const LONGEST: readonly string[] = [
  "test/contract/postgres-engine.test.ts",
  "test/recovery/postgres-delta.test.ts",
  "test/recovery/postgres-wal.test.ts",
  "test/recovery/postgres-targets.test.ts",
  "test/apps/demo.test.ts",
  "test/migration/migration-kills.test.ts",
  "test/recovery/postgres-receive.test.ts",
  "test/recovery/postgres-parallel.test.ts",
  "packages/postgres/test/basebackup.test.ts",
  "test/apps/rehearse.test.ts",
  "test/recovery/postgres-revive.test.ts",
  "test/faults/killed-archiver-receiver-server.test.ts",
  "test/recovery/postgres-hostile.test.ts",
  "test/cli/postgres-export-faults.test.ts",
  "test/recovery/postgres-backup.test.ts",
  "test/recovery/sqlite-watch.test.ts",
  "test/recovery/sqlite-watch-kills.test.ts",
  "test/recovery/sqlite-watch-hostile.test.ts",
  "test/recovery/sqlite-watch-mishaps.test.ts",
  "test/migration/generated-databases.test.ts",
  "test/recovery/postgres-incremental.test.ts",
  "test/recovery/sqlite-incremental.test.ts",
  "test/recovery/postgres-prefetch.test.ts",
  "test/recovery/postgres-restore.test.ts",
  "test/migration/cutover.test.ts",
  "test/migration/verify-under-writes.test.ts",
  "packages/postgres/test/cluster.test.ts",
  "test/recovery/postgres-extract.test.ts",
  "test/recovery/postgres-from-standby.test.ts",
  "test/cli/postgres-wal.test.ts",
  "test/recovery/sqlite-backup-beside-watch.test.ts",
  "test/faults/a-bad-network.test.ts",
  "test/migration/rollback.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config;
    const paths = LONGEST.map((file) => join(root, file));
    const gone = paths.filter((path) => !existsSync(path));
    if (gone.length > 0) throw new Error(`longest-first.ts names what is not there: ${gone}`);
    const sorted = await super.sort(files);
    const long = paths.flatMap((path) => sorted.filter(({ moduleId }) => moduleId === path));
    return [...long, ...sorted.filter((file) => !long.includes(file))];
  }
}
