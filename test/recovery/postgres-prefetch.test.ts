import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ownProcessMark } from "@lifeboat/core";
import { Server } from "@lifeboat/postgres";
import { prefetchWal } from "@lifeboat/postgres/archive";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PATIENCE } from "../support/patience.ts";
import { ask, startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
let command: string[];
/** Counts the starts of the program: the shell writes a line before each. */
let counting: string[];
let starts: string;

beforeAll(async () => {
  cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
  kept = await repositoryBeside(cluster);
  await archiveInto(cluster);
  await cluster.query("create table ledger(n int primary key, filler text)");
  await kept.take();
  for (let round = 0; round < 30; round++)
    await cluster.query(
      `insert into ledger select ${round} * 1000 + i, repeat(md5(random()::text), 25) from generate_series(1, 1000) i`,
    );
  const [row] = await cluster.query<{ name: string }>(
    "select pg_walfile_name(pg_switch_wal()) as name",
  );
  await vi.waitFor(
    async () => expect(await kept.folder.statLog(`00000001/${row?.name}`)).toBeDefined(),
    PATIENCE,
  );
  command = [...(await walCommand(cluster)), "fetch"];
  starts = join(cluster.directory, "starts");
  await writeFile(starts, "", { mode: 0o666 });
  const script = join(cluster.directory, "counting.sh");
  const words = command.map((word) => `'${word}'`).join(" ");
  await writeFile(script, `echo "$1" >> '${starts}'\nexec ${words} "$@"\n`);
  counting = ["/bin/sh", script];
});
afterAll(() => cluster?.stop());

async function copyInto(name: string, fetchCommand = counting): Promise<string> {
  const to = join(cluster.directory, name);
  return (await restoreBeside(cluster, kept, { to, fetchCommand })).path;
}

/** Starts a copy as it is, waits until it has recovered or has given up. */
async function recovered(dataDirectory: string): Promise<number | "stopped"> {
  const { programs, account } = cluster;
  const settings = { hot_standby: "off", archive_mode: "off" };
  const server = await Server.start({ programs, account, dataDirectory, settings });
  try {
    await server.accepting("postgres");
    const [row] = await ask<{ count: number }>(server, "select count(*)::int from ledger", "app");
    return row?.count ?? -1;
  } catch (thrown) {
    if (server.running) throw thrown;
    return "stopped";
  } finally {
    await server.stop("immediate");
  }
}

const started = async () => (await readFile(starts, "utf8")).trim().split("\n").filter(Boolean);
const spoolOf = (path: string) => join(path, "pg_wal", "lifeboat.spool");

test("a copy that recovers by itself takes most segments from the spool, recovers all, and nothing is left", async () => {
  const path = await copyInto("by-spool");
  expect(await recovered(path)).toBe(30_000);
  const segments = (await started()).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const archived = (await Array.fromAsync(kept.folder.listLog())).length;
  expect(archived).toBeGreaterThan(25);
  expect(segments.length).toBeLessThan(archived / 2);
  await expect.poll(() => readdir(join(path, "pg_wal"))).not.toContain("lifeboat.spool");
});

test.each<[string, (whole: Buffer, other: Buffer) => Buffer]>([
  [
    "damaged",
    (whole) => {
      const hurt = Buffer.from(whole);
      hurt.writeUInt8(hurt.readUInt8(hurt.length >> 1) ^ 1, hurt.length >> 1);
      return hurt;
    },
  ],
  ["in another's place", (_, other) => other],
])(
  "what lies %s in the archive is never taken for the end, by way of the spool neither",
  async (how, change) => {
    const names = (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name);
    const victim = names.at(-3) as string;
    const fileOf = (name: string) => kept.file(kept.folder.logPath(name));
    const file = fileOf(victim);
    // The proof before a restore would find it: the damage comes after that.
    const path = await copyInto(how.replaceAll(/\W/g, "-"));
    const other = await readFile(fileOf(names.at(-5) as string));
    const hurt = change(await readFile(file), other);
    await rename(file, `${file}.kept`);
    await writeFile(file, hurt);
    try {
      expect(await recovered(path)).toBe("stopped");
      expect(await readdir(spoolOf(path)).catch(() => [])).not.toContain(victim.slice(9));
    } finally {
      await rename(`${file}.kept`, file);
    }
    expect(await recovered(path)).toBe(30_000);
  },
);

test("a repository that goes away in the midst stops the recovery, which goes on when it is back", async () => {
  const path = await copyInto("away");
  await rename(kept.path, `${kept.path}-away`);
  expect(await recovered(path)).toBe("stopped");
  await rename(`${kept.path}-away`, kept.path);
  expect(await recovered(path)).toBe(30_000);
});

test("what a killed prefetcher left is cleared away by the next", async () => {
  const path = await copyInto("left");
  const spool = spoolOf(path);
  await mkdir(spool, { recursive: true });
  const gone = ownProcessMark().replace(/-\d+-\d+$/, "-4194304-1");
  const left = {
    "00000001000000000000000F.growing": "x",
    "0000000900000000000000FF": "x",
    prefetcher: gone,
  };
  const { uid, gid, foreign } = cluster.account;
  for (const [name, content] of Object.entries(left)) {
    await writeFile(join(spool, name), content);
    if (foreign) await chown(join(spool, name), uid, gid);
  }
  if (foreign) await chown(spool, uid, gid);
  expect(await recovered(path)).toBe(30_000);
  await expect.poll(() => readdir(join(path, "pg_wal"))).not.toContain("lifeboat.spool");
});

test("a prefetcher holds no more than it may, goes on while something is taken, and ends by itself when nothing is", async () => {
  const [first = "", ...segments] = (await Array.fromAsync(kept.folder.listLog()))
    .map(({ name }) => name.slice(9))
    .filter((name) => /^[0-9A-F]{24}$/.test(name));
  // In the server's own data directory, as if it were one that recovers; what another run left there is of no use.
  const spool = spoolOf(cluster.dataDirectory);
  await mkdir(spool);
  for (const name of [first, "0000000900000000000000FF"]) await writeFile(join(spool, name), "x");
  const shipping = async () => (await kept.engine.status(kept.folder, null)).shipping;
  const { repository } = kept;
  const signal = new AbortController().signal;
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    const prefetching = prefetchWal({
      ...{ repository, spool, signal, after: first },
      ...{ idleMs: 1_000, spoolBytes: 3 << 20 },
    });
    const ready = async () =>
      (await readdir(spool)).filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted();
    await expect.poll(ready, PATIENCE).toEqual(segments.slice(0, 3));
    expect(await shipping()).toEqual({ prefetcher: { running: true, ready: 3 } });
    for (const taken of [0, 1, 2, 3]) {
      vi.setSystemTime(Date.now() + 400);
      await rm(join(spool, segments[taken] as string));
      await expect.poll(ready, PATIENCE).toEqual(segments.slice(taken + 1, taken + 4));
    }
    vi.setSystemTime(Date.now() + 1_001);
    await prefetching;
  } finally {
    vi.useRealTimers();
  }
  expect(await readdir(join(cluster.dataDirectory, "pg_wal"))).not.toContain("lifeboat.spool");
  expect(await shipping()).toBeUndefined();
});
