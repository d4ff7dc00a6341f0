import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseFolder, list, type RecoveryTarget } from "@lifeboat/core";
import { Server } from "@lifeboat/postgres";
import { memoryStorage } from "@lifeboat/storage";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { pushInto } from "../../packages/postgres/src/archive/push.ts";
import { readSystemIdentifier } from "../../packages/postgres/src/files/system-identifier.ts";
import { PATIENCE } from "../support/patience.ts";
import { ask, startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

/** An original and a copy of it that was started beside, both archiving into one repository. */
let original: TestCluster;
let kept: ClusterRepository;
let copy: Server;

beforeAll(async () => {
  original = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
  kept = await repositoryBeside(original);
  await archiveInto(original);
  await original.query("create table ledger(n int primary key)");
  await commit(original.server, 1);
  await kept.take();
  await commit(original.server, 2);
  await archived(original.server);
  const { path } = await restoreBeside(original, kept, {
    fetchCommand: [...(await walCommand(original)), "fetch"],
  });
  copy = await Server.start({
    programs: original.programs,
    account: original.account,
    dataDirectory: path,
    settings: { archive_mode: "on" },
  });
  await promoted(copy);
  await archived(copy);
});
afterAll(async () => {
  await copy?.stop();
  await original?.stop();
});

test("what the original commits after a copy was started beside it is what latest restores", async () => {
  await commit(original.server, 3);
  await archived(original.server);
  const { windows } = await list({
    repository: kept.repository,
    engines: [kept.offline],
    live: null,
  });
  expect(new Set(windows.map(({ timeline }) => timeline))).toEqual(new Set([1, 2]));
  const plan = await planned({ kind: "latest" });
  expect(plan.timeline).toBe(1);
  expect(await entriesOf({ kind: "latest" }, "latest")).toBe(3);
});

test("an instant that both timelines hold is restored as the original had it", async () => {
  const at = new Date((await planned({ kind: "latest" })).willRecoverTo.time as string);
  await ask(copy, "checkpoint", "app");
  await archived(copy);
  expect((await planned({ kind: "time", at, exclusive: false })).timeline).toBe(1);
});

test("a timeline that is asked for is taken", async () => {
  expect((await planned({ kind: "latest" }, 2)).timeline).toBe(2);
});

test("once the copy took over and commits, latest follows it", async () => {
  await commit(copy, 30);
  await archived(copy);
  expect((await planned({ kind: "latest" })).timeline).toBe(2);
  expect(await entriesOf({ kind: "latest" }, "taken-over")).toBe(30);
});

test("a copy that was replayed in private, without archiving, brings its timeline's history with its first segment", async () => {
  const to = join(original.directory, "replayed");
  const { path } = await restoreBeside(original, kept, {
    target: { kind: "latest" },
    to,
    replay: true,
  });
  const server = await Server.start({
    programs: original.programs,
    account: original.account,
    dataDirectory: path,
    settings: { archive_mode: "on" },
  });
  try {
    await promoted(server);
    await commit(server, 300);
    await archived(server);
  } finally {
    await server.stop("immediate");
  }
  await pushedByWatch(path);
  expect((await planned({ kind: "latest" })).timeline).toBe(3);
  expect(await entriesOf({ kind: "latest" }, "replayed-again")).toBe(300);
});

/** The same of a process that pushes all the time. */
async function pushedByWatch(directory: string): Promise<void> {
  const folder = new DatabaseFolder({
    ...{ storage: memoryStorage(), app: "test", engine: "postgres" as const },
    database: await readSystemIdentifier(directory),
    compression: { level: 3, logLevel: 1 },
  });
  const segments = await readdir(join(directory, "pg_wal"));
  const name = segments.filter((one) => /^00000003[0-9A-F]{16}$/.test(one)).sort()[0] as string;
  await pushInto(folder, { directory, name });
  const stored = (await Array.fromAsync(folder.listLog())).map((log) => log.name);
  expect(stored.sort()).toEqual([`00000003/${name}`, "00000003/00000003.history"].sort());
}

async function planned(target: RecoveryTarget, timeline?: number) {
  const { manifests } = await kept.repository.backups(kept.folder);
  return kept.offline.plan(kept.folder, manifests, target, { timeline });
}

/** The greatest number in a copy that was restored and recovered. */
async function entriesOf(target: RecoveryTarget, name: string): Promise<number> {
  const to = join(original.directory, name);
  const { path } = await restoreBeside(original, kept, { target, to, replay: true });
  const settings = { archive_mode: "off" };
  const { programs, account } = original;
  const server = await Server.start({ programs, account, dataDirectory: path, settings });
  try {
    await promoted(server);
    const [row] = await ask<{ max: number }>(server, "select max(n) from ledger", "app");
    return row?.max ?? 0;
  } finally {
    await server.stop("immediate");
  }
}

async function promoted(server: Server): Promise<void> {
  await server.accepting("postgres");
  await vi.waitFor(async () => {
    const [row] = await ask<{ open: boolean }>(
      server,
      "select not pg_is_in_recovery() as open",
      "app",
    );
    expect(row?.open).toBe(true);
  }, PATIENCE);
}

async function commit(server: Server, n: number): Promise<void> {
  await ask(server, `insert into ledger values (${n})`, "app");
}

/** Everything that this server committed is in the repository. */
async function archived(server: Server): Promise<void> {
  // Something to archive, but no commit: a segment in which nothing was written is not switched.
  await ask(server, "select pg_logical_emit_message(false, 'test', 'x')", "app");
  const [row] = await ask<{ name: string }>(
    server,
    "select pg_walfile_name(pg_switch_wal()) as name",
    "app",
  );
  const name = row?.name as string;
  await vi.waitFor(async () => {
    const object = await kept.folder.statLog(`${name.slice(0, 8)}/${name}`);
    expect(object).toBeDefined();
  }, PATIENCE);
}
