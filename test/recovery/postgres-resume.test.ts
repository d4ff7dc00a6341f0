import { open, readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { backup, drill, Repository, RepositoryMemory, verify } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { markUnfinished } from "../../packages/core/src/unfinished-mark.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const BACKUP_PROCESS = fileURLToPath(
  new URL("../support/postgres-backup-process.ts", import.meta.url),
);
const never = new AbortController().signal;
const PART = /^base\.\d{4}\.tar\.zst$/;

describe("a backup by several workers that was interrupted", () => {
  let cluster: TestCluster;
  let kept: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster({ settings: { autovacuum: "off" } });
    kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int primary key)");
    // Each makes a part of its own; the larger ones come first.
    for (const [name, rows] of Object.entries({ changing: 17_500, still: 17_000 }))
      await cluster.query(
        `create table ${name} as select n, repeat(md5(n::text), 50) as filler from generate_series(1, ${rows}) n`,
      );
    await cluster.query("checkpoint");
  });
  afterAll(() => cluster?.stop());

  const backups = () => kept.file(`${kept.folder.path}/backups`);
  const names = async (id: string) => {
    const found = await readdir(join(backups(), id), { recursive: true, withFileTypes: true });
    const files = found.filter((entry) => entry.isFile());
    return files
      .map(({ parentPath, name }) => relative(join(backups(), id), join(parentPath, name)))
      .toSorted();
  };
  const parts = async (id: string) => (await names(id)).filter((name) => PART.test(name));

  /** What lies under an id without a manifest: an interrupted backup. */
  async function interrupted(): Promise<{ id: string; parts: string[] } | undefined> {
    for (const id of await readdir(backups()).catch(() => []))
      if (!(await names(id)).includes("manifest.json")) return { id, parts: await parts(id) };
    return undefined;
  }

  /** The newest backup, as if its run had been killed just before its last step. */
  async function cutShort(): Promise<{ id: string }> {
    const { manifests } = await kept.repository.backups(kept.folder);
    const { id } = manifests.at(-1) ?? (await kept.take({ transport: "parallel" }));
    await markUnfinished(kept.folder, id);
    await rm(join(backups(), id, "manifest.json"));
    return { id };
  }

  async function holds(id: string, sql: string): Promise<void> {
    const { checks } = await drill({
      repository: kept.repository,
      engines: [kept.offline],
      target: { kind: "backup", id },
      checks: () => [{ name: "holds", sql }],
      keep: false,
      signal: never,
    });
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  const problems = async () =>
    (
      await verify({
        repository: kept.repository,
        engines: [kept.offline],
        deep: true,
        signal: never,
      })
    ).problems;

  test("by -9 is gone on with: parts stay whose files are the same, and a copy holds every commit", async () => {
    const child = execa(
      process.execPath,
      [
        ...[BACKUP_PROCESS, kept.path, join(cluster.directory, "own-state")],
        ...[cluster.superuserUrl, "parallel", "stream", String(40 << 20)],
      ],
      { reject: false },
    );
    await expect
      .poll(async () => (await interrupted())?.parts.length ?? 0, { interval: 10 })
      .toBeGreaterThanOrEqual(2);
    child.kill("SIGSTOP");
    await expect(kept.take({ transport: "parallel" })).rejects.toMatchObject({ kind: "locked" });
    child.kill("SIGKILL");
    await child;
    const before = await interrupted();
    if (!before) throw new Error("it was not killed in its midst");

    await cluster.query("update changing set filler = 'changed' where n = 1");
    await cluster.query("insert into ledger select generate_series(1, 100)");
    await cluster.query("create table newcomer as select 1 as n");
    await cluster.query("checkpoint");
    const taken = await kept.take({ transport: "parallel" });

    expect(taken.id).toBe(before.id);
    const after = await parts(taken.id);
    const stayed = before.parts.filter((name) => after.includes(name));
    expect(stayed).toHaveLength(before.parts.length - 1);
    const [manifest] = (await kept.repository.backups(kept.folder)).manifests;
    const objects = manifest?.objects ?? [];
    const sum = (side: "content" | "stored") =>
      objects
        .filter(({ object }) => stayed.includes(object))
        .reduce((bytes, object) => bytes + object[side].bytes, 0);
    expect(taken.reused).toEqual({
      objects: stayed.length,
      sourceBytes: sum("content"),
      storedBytes: sum("stored"),
    });
    expect(taken.findings.map(({ id }) => id)).toContain("backup-continued");
    const own = objects.map(({ object }) => object);
    expect(await names(taken.id)).toEqual(["manifest.json", ...own].toSorted());
    expect(await problems()).toEqual([]);
    await holds(
      taken.id,
      "select (select count(*) from ledger) = 100 and (select filler from changing where n = 1) = 'changed' and (select count(*) from still) = 17000 and (select count(*) from newcomer) = 1",
    );
  });

  test("stores again what the repository has damaged or lost, and says so", async () => {
    const first = await cutShort();
    const [damaged = "", lost = "", ...sound] = await parts(first.id);
    await flipByte(join(backups(), first.id, damaged));
    await rm(join(backups(), first.id, lost));
    const taken = await kept.take({ transport: "parallel" });
    const after = await parts(taken.id);
    expect(after.filter((name) => [damaged, lost].includes(name))).toEqual([]);
    expect(taken.reused.objects).toBeGreaterThan(0);
    expect(taken.reused.objects).toBeLessThanOrEqual(sound.length);
    expect(taken.findings).toContainEqual(
      expect.objectContaining({
        id: "stored-part-damaged",
        summary: expect.stringContaining(damaged),
      }),
    );
    expect(await problems()).toEqual([]);
    // By the ranges that came with the parts.
    const target = { kind: "backup", id: taken.id } as const;
    await restoreBeside(cluster, kept, { target });
    const { delta, findings } = await restoreBeside(cluster, kept, { target, delta: true });
    expect(findings.map(({ id }) => id)).not.toContain("delta-without-ranges");
    expect(delta?.bytesKept).toBeGreaterThan(60 << 20);
    expect(delta?.bytesWritten).toBeLessThan(1 << 20);
  });

  test("is begun anew with another level of compression, and nothing of it stays", async () => {
    const first = await cutShort();
    const before = await parts(first.id);
    const repository = await Repository.open({
      storage: filesystemStorage({ path: kept.path }),
      app: "test",
      memory: new RepositoryMemory(join(cluster.directory, "own-state")),
      mode: "write",
      compression: { level: 1, logLevel: 1 },
    });
    const options = { transport: "parallel" } as const;
    const { engine } = kept;
    const taken = await backup({ repository, engine, type: "full", options, signal: never });
    expect(taken.reused).toEqual({ objects: 0, sourceBytes: 0, storedBytes: 0 });
    expect((await parts(taken.id)).filter((name) => before.includes(name))).toEqual([]);
  });

  test("is removed by a backup that cannot go on with it", async () => {
    const first = await cutShort();
    const taken = await kept.take({ transport: "wire" });
    expect(taken.id).not.toBe(first.id);
    expect(await readdir(backups())).not.toContain(first.id);
  });
});

async function flipByte(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, 1000);
    byte.writeUInt8(byte.readUInt8(0) ^ 1);
    await file.write(byte, 0, 1, 1000);
  } finally {
    await file.close();
  }
}
