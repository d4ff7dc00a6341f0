import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backup, Repository, RepositoryMemory, restore } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";

/** An app in the midst of its move: SQLite is live, and a Postgres was backed up once, later. */
let folder: string;
let cluster: TestCluster;
let repository: Repository;
const taken = { sqlite: "", postgres: "" };
const signal = new AbortController().signal;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-live-"));
  cluster = await startCluster();
  repository = await Repository.open({
    storage: filesystemStorage({ path: join(folder, "repository") }),
    app: "shop",
    memory: new RepositoryMemory(join(folder, "state")),
    mode: "write",
  });
  const path = join(folder, "app.db");
  const database = new Database(path);
  database.exec("CREATE TABLE t(v)");
  database.close();
  const connection = { url: cluster.superuserUrl };
  for (const engine of [
    sqliteEngine({ databases: [{ name: "app", path }] }),
    postgresEngine({ connection }),
  ]) {
    const { id } = await backup({ repository, engine, type: "full", options: {}, signal });
    taken[engine.kind] = id;
  }
});
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function restoredId(more: Partial<Parameters<typeof restore>[0]>): Promise<string> {
  const to = join(folder, "copy");
  const report = await restore({
    repository,
    engines: [sqliteEngine({ databases: [] }), postgresEngine({})],
    target: { kind: "latest" },
    to,
    tablespaceMapping: new Map(),
    force: false,
    replay: false,
    fetchCommand: ["false"],
    signal,
    ...more,
  });
  await rm(to, { recursive: true });
  return report.backup;
}

test("the latest state is the live engine's, whoever was backed up last", async () => {
  expect(await restoredId({ live: "sqlite" })).toBe(taken.sqlite);
  expect(await restoredId({ live: "postgres" })).toBe(taken.postgres);
});

test("where only the repository is known it is that of the newest backup", async () => {
  expect(await restoredId({ live: null })).toBe(taken.postgres);
});

test("an instant is restored by the engine that holds it, an id by whose it is, whatever is live", async () => {
  const target = { kind: "backup", id: taken.sqlite } as const;
  expect(await restoredId({ live: "postgres", target })).toBe(taken.sqlite);
  const folders = await repository.folders("sqlite");
  const { manifests } = await repository.backups(folders[0] as NonNullable<(typeof folders)[0]>);
  const at = new Date(manifests[0]?.consistentAt as string);
  const instant = { kind: "time", at, exclusive: false } as const;
  expect(await restoredId({ live: "postgres", target: instant })).toBe(taken.sqlite);
});
