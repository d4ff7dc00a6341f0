import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  backup,
  drill,
  LifeboatError,
  list,
  type RecoveryTarget,
  Repository,
  RepositoryMemory,
  type RestoreOrder,
  restore,
  runSteps,
  type StepRunner,
  status,
  WatchNotes,
} from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { showDrill } from "../../packages/cli/src/show/drill.ts";
import { faultyStorage } from "../support/faulty-storage.ts";

let folder: string;
let repository: Repository;
const signal = new AbortController().signal;
const engines = [sqliteEngine({ databases: [] })];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-several-"));
  repository = await Repository.open({
    storage: filesystemStorage({ path: join(folder, "repository") }),
    app: "shop",
    memory: new RepositoryMemory(join(folder, "state")),
    mode: "write",
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function makeDatabase(path: string, value: number): void {
  const database = new Database(path);
  database.exec(`CREATE TABLE t(v); INSERT INTO t VALUES (${value})`);
  database.close();
}

async function takeBoth(files: Record<string, string>) {
  const databases = Object.entries(files).map(([name, path]) => ({
    name,
    path: join(folder, path),
  }));
  for (const [index, { path }] of databases.entries()) makeDatabase(path, index + 1);
  const engine = sqliteEngine({ databases });
  return backup({ repository, engine, type: "full", options: {}, signal });
}

const bring = (target: RecoveryTarget, more: Partial<RestoreOrder> = {}) =>
  restore({
    repository,
    engines,
    target,
    to: join(folder, "copy"),
    tablespaceMapping: new Map(),
    force: false,
    replay: false,
    fetchCommand: [],
    signal,
    ...more,
  });

test("several databases are backed up under one id and restored together", async () => {
  const taken = await takeBoth({ orders: "orders.db", users: "users.db" });
  expect(taken.databases.map(({ database, id }) => ({ database, id }))).toEqual([
    { database: "orders", id: taken.id },
    { database: "users", id: taken.id },
  ]);
  expect(taken.sourceBytes).toBe(
    taken.databases.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0),
  );
  const restored = await bring({ kind: "latest" });
  expect(restored.databases.map(({ database }) => database)).toEqual(["orders", "users"]);
  expect((await readdir(join(folder, "copy"))).sort()).toEqual(["orders.db", "users.db"]);
});

test("an instant of one of them restores its siblings from the same backup", async () => {
  const taken = await takeBoth({ orders: "orders.db", users: "users.db" });
  const backUp = (name: string) => {
    const engine = sqliteEngine({ databases: [{ name, path: join(folder, `${name}.db`) }] });
    return backup({ repository, engine, type: "full", options: {}, signal });
  };
  await backUp("users");
  const { windows } = await list({ repository, engines, live: null });
  for (const database of ["orders", "users"]) {
    const from = windows.find((window) => window.database === database)?.from as string;
    const restored = await bring({ kind: "time", at: new Date(from), exclusive: false });
    expect(new Set(restored.databases.map(({ backup }) => backup))).toEqual(new Set([taken.id]));
    await rm(join(folder, "copy"), { recursive: true });
  }
  await backUp("orders");
  const listed = await list({ repository, engines, live: null });
  const ids = listed.backups.map(({ id }) => id);
  expect(ids).toHaveLength(4);
  expect(ids).toEqual(ids.toSorted());
  // What the other one held then nobody knows: its last backup is older, and it has no log.
  const alone = listed.windows.findLast(({ database }) => database === "orders")?.from as string;
  const at = { kind: "time", at: new Date(alone), exclusive: false } as const;
  await expect(bring(at)).rejects.toMatchObject({ kind: "not-found" });
  expect((await bring(at, { database: "orders" })).backup).toBe(ids.at(-1));
});

test("an instant that none of them holds is explained by the manifest that cannot be read", async () => {
  const { id } = await takeBoth({ orders: "orders.db", users: "users.db" });
  const at = { kind: "time", at: new Date(), exclusive: false } as const;
  await expect(bring(at)).rejects.toMatchObject({ code: "TARGET_OUTSIDE_WINDOWS" });
  await writeFile(join(folder, `repository/shop/sqlite/users/backups/${id}/manifest.json`), "{}");
  await expect(bring(at)).rejects.toMatchObject({
    code: "MANIFEST_CORRUPT",
    details: { object: expect.stringContaining("users") },
  });
});

test("two of one file name are refused before the first is restored, and can be had one by one", async () => {
  for (const name of ["a", "b"]) await mkdir(join(folder, name));
  await takeBoth({ orders: "a/app.db", users: "b/app.db" });
  await expect(bring({ kind: "latest" })).rejects.toMatchObject({
    code: "FILE_NAMES_CLASH",
    kind: "refused",
  });
  expect(await readdir(folder)).not.toContain("copy");
  const restored = await bring({ kind: "latest" }, { database: "users" });
  const copy = new Database(restored.path, { readonly: true });
  expect(copy.prepare("SELECT v FROM t").pluck().get()).toBe(2);
  copy.close();
});

test("a drill checks each database, and each check goes to the database that it names", async () => {
  await takeBoth({ orders: "orders.db", users: "users.db" });
  const report = await drill({
    repository,
    engines,
    target: { kind: "latest" },
    checks: () => [
      { name: "the first", sql: "SELECT v = 1 FROM t" },
      { name: "the second", sql: "SELECT v = 2 FROM t", database: "users" },
    ],
    keep: false,
    signal,
  });
  expect(report.ok).toBe(true);
  const names = report.checks.map(({ name }) => name);
  expect(names).toContain("orders: the first");
  expect(names).toContain("users: the second");
  expect(names).toContain("users: integrity_check");
});

test("a drill of several says of each what it was brought back to", async () => {
  // Backed up in this order: the last by its name is of the earliest instant.
  const taken = await takeBoth({ users: "users.db", orders: "orders.db" });
  const drilling = { repository, engines, checks: () => [], keep: false, signal };
  const report = await drill({ ...drilling, target: { kind: "latest" } });
  expect(report.databases?.map(({ database }) => database)).toEqual(["orders", "users"]);
  for (const each of report.databases ?? []) expect(each.backup).toBe(taken.id);
  const instants = report.databases?.map(({ recoveredTo }) => recoveredTo) as string[];
  expect(instants.every((instant) => !Number.isNaN(Date.parse(instant)))).toBe(true);
  expect(report.recoveredTo).toBe(instants.toSorted()[0]);
  expect((await repository.drills()).records[0]?.databases).toEqual(report.databases);
  const shown = showDrill(report);
  for (const each of report.databases ?? [])
    expect(shown).toMatch(new RegExp(`${each.database} recovered to +${each.recoveredTo}`));
  const one = await drill({ ...drilling, target: { kind: "latest" }, database: "orders" });
  expect(one.databases).toBeUndefined();
  expect(showDrill(one)).toMatch(/^recovered to/m);
});

test("a drill whose copy does not come back is recorded as failed", async () => {
  const taken = await takeBoth({ orders: "orders.db" });
  const object = join(folder, `repository/shop/sqlite/orders/backups/${taken.id}/orders.db.zst`);
  const bytes = await readFile(object);
  bytes[20] = (bytes[20] as number) ^ 1;
  await writeFile(object, bytes);
  const failing = drill({
    repository,
    engines,
    target: { kind: "latest" },
    checks: () => [],
    keep: false,
    signal,
  });
  await expect(failing).rejects.toMatchObject({
    message: expect.stringContaining("orders.db.zst"),
  });
  expect((await repository.drills()).records).toMatchObject([
    { ok: false, backup: taken.id, checks: [{ ok: false }] },
  ]);
});

test("a copy that a drill was told to keep outlives the next drill, and one that was not restored is not kept", async () => {
  const taken = await takeBoth({ orders: "orders.db" });
  const drilling = { repository, engines, checks: () => [], signal };
  const { kept } = await drill({ ...drilling, target: { kind: "latest" }, keep: true });
  // What a drill of a process that is gone left has its name; ours lives, so it is moved to such a one.
  const abandoned = (kept as string).replace(/-\d+-\d+-(\w+)$/, "-999999999-1-$1");
  await rename(kept as string, abandoned);
  try {
    await drill({ ...drilling, target: { kind: "latest" }, keep: false });
    expect(await readdir(join(abandoned, "orders"))).toContain("copy");
    await rm(join(abandoned, ".kept"));
    await drill({ ...drilling, target: { kind: "latest" }, keep: false });
    await expect(readdir(abandoned)).rejects.toMatchObject({ code: "ENOENT" });
  } finally {
    await rm(abandoned, { recursive: true, force: true });
  }
  await rm(join(folder, `repository/shop/sqlite/orders/backups/${taken.id}/orders.db.zst`));
  const before = await scratches();
  await expect(drill({ ...drilling, target: { kind: "latest" }, keep: true })).rejects.toThrow();
  expect(await scratches()).toEqual(before);
});

/** Of this process alone: others drill here, too. */
async function scratches(): Promise<string[]> {
  const own = new RegExp(`^lifeboat-scratch-[0-9a-f]+-${process.pid}-`);
  return (await readdir(tmpdir())).filter((name) => own.test(name));
}

test("a database that the repository does not know is not found, and those that it knows are named", async () => {
  await takeBoth({ orders: "orders.db", users: "users.db" });
  await expect(bring({ kind: "latest" }, { database: "order" })).rejects.toMatchObject({
    code: "DATABASE_NOT_FOUND",
    kind: "not-found",
    remedy: "there are orders, users",
  });
});

test("one of several that is in no backup is told by status and by a restore of the others, and so is what keeps its watch from beginning", async () => {
  await takeBoth({ orders: "orders.db" });
  const notes = new WatchNotes(join(folder, "state"));
  const waits = { state: "waiting", reason: "users is not in WAL mode", remedy: "switch it" };
  await notes.write(repository.folder("sqlite", "users"), waits);
  const engine = sqliteEngine({
    databases: ["orders", "users"].map((name) => ({ name, path: join(folder, `${name}.db`) })),
  });
  const alerts = async () =>
    (await status({ repository, engines: [engine], live: "sqlite", notes })).alerts;
  const told = (await alerts()).map(({ id, summary }) => `${id}: ${summary}`);
  expect(told).toContain("no-backup: there is no backup of users yet");
  expect(told).toContain("watch-waiting: users: nothing is shipped: users is not in WAL mode");
  const known = { engines: [engine], live: "sqlite" } as const;
  const restored = await bring({ kind: "latest" }, known);
  expect(restored.findings).toContainEqual(
    expect.objectContaining({
      id: "database-not-restored",
      summary: expect.stringMatching(/^users is configured too .* the repository holds no backup/),
    }),
  );
  // Where only the repository is at hand, or one is asked for by name, there is nothing to say.
  for (const [index, more] of [
    { live: "sqlite" } as const,
    { ...known, database: "orders" },
  ].entries())
    expect(
      (await bring({ kind: "latest" }, { ...more, to: join(folder, `${index}`) })).findings,
    ).toEqual([]);
  makeDatabase(join(folder, "users.db"), 2);
  await backup({ repository, engine, type: "full", options: {}, signal });
  expect((await alerts()).map(({ id }) => id)).not.toContain("no-backup");
});

test("one of several whose backup has lost its manifest is told by a restore and a drill of the others, also from the repository alone", async () => {
  const { id } = await takeBoth({ orders: "orders.db", users: "users.db" });
  const lost = repository.folder("sqlite", "users").backupPath(id);
  await rm(join(folder, "repository", lost, "manifest.json"));
  const { manifests } = await repository.backups(repository.folder("sqlite", "orders"));
  const at = new Date(manifests[0]?.consistentAt ?? "");
  const targets = [
    { kind: "latest" },
    { kind: "backup", id },
    { kind: "time", at, exclusive: false },
  ] as const;
  const told: unknown[] = [];
  for (const [index, target] of targets.entries()) {
    const { findings } = await bring(target, { to: join(folder, `${index}`) });
    told.push(...findings);
  }
  const summary = expect.stringContaining(`users was not restored: ${lost} has objects but no`);
  const one = expect.objectContaining({ id: "database-not-restored", summary });
  expect(told).toEqual([one, one, one]);
  const drilling = { repository, engines, checks: () => [], keep: false, signal };
  expect((await drill({ ...drilling, target: { kind: "latest" } })).findings).toEqual([one]);
  const orders = join(folder, "orders");
  const asked = bring({ kind: "latest" }, { database: "orders", to: orders });
  expect((await asked).findings).toEqual([]);
});

test("a repository that is gone once the copy has its place does not make its restore a failure", async () => {
  await takeBoth({ orders: "orders.db" });
  const gone = new LifeboatError({ code: "STORAGE_UNREACHABLE", message: "gone", remedy: "" });
  let isGone = false;
  const { storage } = repository;
  const list: typeof storage.list = async (request) => {
    if (isGone) throw gone;
    return storage.list(request);
  };
  Object.assign(repository, { storage: faultyStorage(storage, { list }) });
  const run: StepRunner = async (steps) => {
    await runSteps(steps);
    isGone = true;
  };
  const { findings, path } = await bring({ kind: "latest" }, { run });
  expect(findings).toMatchObject([{ id: "later-state-unknown", severity: "warning" }]);
  expect(await readdir(join(folder, "copy"))).toEqual([basename(path)]);
});

test("where the log of one of several is not stored, that is how the app stands, however little it lags", async () => {
  await takeBoth({ orders: "orders.db", users: "users.db" });
  const notes = new WatchNotes(join(folder, "state"));
  const since = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
  const [early, late] = [since(500), since(300)];
  const note = (database: string, unshippedSince: string, fault: object | null) =>
    notes.write(repository.folder("sqlite", database), {
      ...{ state: "shipping", unshippedSince, unshippedBytes: 1, fault },
    });
  await note("orders", late, { since: late, reason: "the disk is full" });
  await note("users", early, null);
  const engine = sqliteEngine({
    databases: ["orders", "users"].map((name) => ({ name, path: join(folder, `${name}.db`) })),
  });
  const { id } = await backup({ repository, engine, type: "full", options: {}, signal });
  const stands = () => status({ repository, engines: [engine], live: "sqlite", notes });
  expect(await stands()).toMatchObject({
    archive: { ok: false, oldestUnarchived: late },
    lastBackup: { id },
  });
  await note("orders", late, null);
  expect(await stands()).toMatchObject({ archive: { ok: true, oldestUnarchived: early } });
});
