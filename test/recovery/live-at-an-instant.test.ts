import { join } from "node:path";
import { backup, type RecoveryTarget } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { sqliteEngine } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { chooseRestore } from "../../packages/core/src/choose-restore.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
} from "../support/postgres-repository.ts";
import { sealedRecord } from "../support/sealed-record.ts";

/** A product in SQLite whose Postgres is backed up and archived long before it moves: the windows of both hold the same instants. */
let cluster: TestCluster;
let kept: ClusterRepository;
/** Each is held by both windows, but for the last: only SQLite holds it. */
const instants: Date[] = [];

beforeAll(async () => {
  cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
  kept = await repositoryBeside(cluster);
  await archiveInto(cluster);
  await cluster.query("create table t(v int)");
  await kept.take();
  const path = join(cluster.directory, "app.db");
  new Database(path).exec("CREATE TABLE t(v)").close();
  const engine = sqliteEngine({ databases: [{ name: "app", path }] });
  const { repository } = kept;
  const { signal } = new AbortController();
  const instantOfSqlite = async () => {
    const { consistentAt } = await backup({
      repository,
      engine,
      type: "full",
      options: {},
      signal,
    });
    instants.push(new Date(consistentAt));
  };
  await instantOfSqlite();
  await instantOfSqlite();
  await cluster.query("insert into t values (1)");
  const [row] = await cluster.query<{ name: string }>(
    "select pg_walfile_name(pg_switch_wal()) as name",
  );
  const name = row?.name as string;
  await vi.waitFor(async () => {
    expect(await kept.folder.statLog(`${name.slice(0, 8)}/${name}`)).toBeDefined();
  }, PATIENCE);
  // The newest backup is the one of Postgres.
  await kept.take();
  await instantOfSqlite();
});
afterAll(() => cluster?.stop());

async function chosenFor(at: Date | undefined, live: "sqlite" | "postgres" | null) {
  const target: RecoveryTarget = { kind: "time", at: at as Date, exclusive: false };
  const engines = [sqliteEngine({ databases: [] }), postgresEngine({})];
  const { repository } = kept;
  const [{ engine }] = await chooseRestore({ repository, engines, live, target });
  return engine.kind;
}

test("an instant that both hold is the live engine's where no move was recorded", async () => {
  const [first] = instants;
  expect(await chosenFor(first, "sqlite")).toBe("sqlite");
  expect(await chosenFor(first, "postgres")).toBe("postgres");
});

test("where a move was recorded it is restored by the engine that took the product's writes then, and by no other", async () => {
  const [first, second, last] = instants;
  const between = new Date(((first as Date).getTime() + (second as Date).getTime()) / 2);
  const startedAt = new Date((first as Date).getTime() - 60_000);
  // The run began before the first instant and ended long after all of them; the product moved in between.
  await sealedRecord(kept.path, "test", startedAt, "cutover", "postgres", {
    movedAt: between.toISOString(),
  });
  for (const live of ["sqlite", "postgres", null] as const) {
    expect(await chosenFor(first, live)).toBe("sqlite");
    expect(await chosenFor(second, live)).toBe("postgres");
  }
  await expect(chosenFor(last, "postgres")).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
  });
  await sealedRecord(kept.path, "test", last as Date, "rollback", "sqlite");
  expect(await chosenFor(last, "sqlite")).toBe("sqlite");
  expect(await chosenFor(second, "sqlite")).toBe("postgres");
});
