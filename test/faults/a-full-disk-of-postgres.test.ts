import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  allObjects,
  backup,
  exportToRepository,
  findExport,
  LifeboatError,
  type Report,
  Repository,
  RepositoryMemory,
  type SnapshotOptions,
  verify,
} from "@lifeboat/core";
import {
  hasProgram,
  importDump,
  listSlots,
  makeStandby,
  postgresDumpSource,
  postgresEngine,
} from "@lifeboat/postgres";
import { prefetchWal } from "@lifeboat/postgres/archive";
import { filesystemStorage } from "@lifeboat/storage";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { countAfter, restoreBeside } from "../support/postgres-copies.ts";
import { startReceiving } from "../support/postgres-receiving.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";
import { canMount, SmallDisk } from "../support/small-disk.ts";

const signal = new AbortController().signal;
const MIB = 1 << 20;

/** Fills the disk in the midst of the work: at the first word of progress. */
function fillingAt(disk: SmallDisk): Report {
  let isFilled = false;
  return ({ bytes, note }) => {
    if (isFilled || (!bytes && !note)) return;
    isFilled = true;
    disk.fill();
  };
}

describe.runIf(await canMount())("a disk that is full", () => {
  let cluster: TestCluster;
  let kept: ClusterRepository;
  let disk: SmallDisk | undefined;

  beforeAll(async () => {
    cluster = await startCluster({ initdb: ["--wal-segsize=1"] });
    kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int primary key)");
    await cluster.query("insert into ledger values (1)");
    // Nothing that can be compressed away.
    await cluster.query(
      "create table padding as select string_agg(md5(random()::text), '') filler from generate_series(1, 200000) n group by n % 2000",
    );
    await kept.take();
  });
  afterEach(async () => {
    await disk?.[Symbol.asyncDispose]();
    disk = undefined;
  });
  afterAll(() => cluster?.stop());

  async function mounted(mebibytes: number): Promise<SmallDisk> {
    disk = await SmallDisk.mount(mebibytes, cluster.account);
    return disk;
  }
  async function repositoryOn(small: SmallDisk) {
    const path = join(small.path, "repository");
    await mkdir(path);
    const repository = await Repository.open({
      storage: filesystemStorage({ path }),
      app: "test",
      memory: new RepositoryMemory(join(cluster.directory, "small-state")),
      mode: "write",
    });
    return { path, repository };
  }
  const slots = async () =>
    (await listSlots({ url: cluster.superuserUrl })).map(({ name }) => name);
  const nothingIsLeftOnTheServer = async () => {
    await expect.poll(slots).toEqual([]);
    await expect
      .poll(() => cluster.query("select pid from pg_stat_progress_basebackup"))
      .toEqual([]);
    await expect
      .poll(() =>
        cluster.query("select pid from pg_stat_activity where application_name like 'lifeboat%'"),
      )
      .toEqual([]);
  };

  test.each<SnapshotOptions>([{ transport: "wire" }, { transport: "parallel", jobs: 2 }])(
    "of the repository ends a backup by %o by its name, with nothing left; with room it works",
    async (options) => {
      const small = await mounted(64);
      const { repository } = await repositoryOn(small);
      const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
      const take = () => backup({ repository, engine, type: "full", options, signal });
      small.fill(2 * MIB);
      await expect(take()).rejects.toMatchObject({ code: "STORAGE_FULL" });
      const left = await Array.fromAsync(allObjects(repository.storage, "test/postgres/"));
      expect(left.map((each) => each.path).filter((name) => !name.includes("/wal/"))).toEqual([]);
      await nothingIsLeftOnTheServer();
      small.makeRoom();
      await take();
      const engines = [postgresEngine({})];
      expect((await verify({ repository, engines, deep: true, signal })).problems).toEqual([]);
    },
  );

  test("of the repository holds a receiver up, which goes on by itself and misses nothing", async () => {
    const small = await mounted(64);
    const { path, repository } = await repositoryOn(small);
    const folder = repository.folder("postgres", kept.folder.database);
    const own = { ...kept, path, repository, folder };
    const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
    await backup({ repository, engine, type: "full", options: {}, signal });
    const receiving = startReceiving(cluster, own);
    const caughtUp = async () => {
      const [row] = await cluster.query<{ lsn: string }>(
        "select pg_current_wal_flush_lsn() as lsn",
      );
      await expect.poll(() => receiving.durable).toBeGreaterThanOrEqual(lsnOf(row?.lsn ?? ""));
    };
    try {
      await caughtUp();
      small.fill();
      await cluster.query("insert into ledger select max(n) + 1 from ledger");
      await cluster.query(
        "insert into padding select string_agg(md5(random()::text), '') from generate_series(1, 50000) n group by n % 500",
      );
      await expect.poll(() => receiving.notes.at(-1)).toMatch(/tries again in/);
      small.makeRoom();
      await caughtUp();
      expect(receiving.holes).toEqual([]);
      const [row] = await cluster.query<{ n: number }>("select count(*)::int as n from ledger");
      expect(await countAfter(cluster, own)).toMatchObject({ count: row?.n });
    } finally {
      await receiving.stop();
    }
    await cluster.query("select pg_drop_replication_slot('lifeboat_receive')");
  });

  test("of the target ends a restore in its midst by its name, with nothing left; with room it works", async () => {
    const small = await mounted(256);
    const { path } = small;
    const to = join(path, "copy");
    const filling = fillingAt(small);
    const run = async (steps: readonly { run(report: Report): Promise<void> }[]) => {
      for (const step of steps) await step.run(filling);
    };
    await expect(restoreBeside(cluster, kept, { to, run })).rejects.toMatchObject({
      code: "TARGET_FULL",
      kind: "failed",
      remedy: expect.stringContaining("nothing was left behind"),
    });
    expect(await readdir(path)).toEqual([".filler"]);
    small.makeRoom();
    await restoreBeside(cluster, kept, { to });
    expect(await readdir(to)).toContain("recovery.signal");
  });

  test("of the target ends a replay by its name and leaves the copy; with room it works", async () => {
    const small = await mounted(256);
    const to = join(small.path, "copy");
    const run = async ([copy, replay]: readonly { run(report: Report): Promise<void> }[]) => {
      await copy?.run(() => {});
      // Less than a segment: the server itself still starts.
      small.fill(MIB - 1);
      await replay?.run(() => {});
    };
    await expect(restoreBeside(cluster, kept, { to, replay: true, run })).rejects.toMatchObject({
      code: "TARGET_FULL",
      message: expect.stringContaining(`the recovery of ${to} was stopped`),
      remedy: expect.stringContaining(`${to} is left as it is`),
    });
    small.makeRoom();
    const again = await restoreBeside(cluster, kept, { to, replay: true, force: true });
    expect(again.recoveredTo).not.toBeNull();
  });

  test("of a standby's place ends it by its name, with neither files nor slot left", async () => {
    const small = await mounted(256);
    const { path } = small;
    const making = makeStandby({
      connection: { url: cluster.superuserUrl },
      ...{ to: join(path, "standby"), maxRate: null, fetchCommand: [], signal },
      tablespaceMapping: new Map(),
      report: fillingAt(small),
    });
    await expect(making).rejects.toMatchObject({ code: "TARGET_FULL" });
    expect(await readdir(path)).toEqual([".filler"]);
    await nothingIsLeftOnTheServer();
  });

  test("is never filled by a prefetcher: the server keeps its room", async () => {
    const receiving = startReceiving(cluster, kept);
    await expect.poll(() => receiving.durable).toBeGreaterThan(0n);
    for (let round = 0; round < 12; round++)
      await cluster.query(
        "insert into padding select string_agg(md5(random()::text), '') from generate_series(1, 30000) n group by n % 300",
      );
    const [row] = await cluster.query<{ lsn: string }>("select pg_switch_wal()::text as lsn");
    await expect.poll(() => receiving.durable).toBeGreaterThanOrEqual(lsnOf(row?.lsn ?? ""));
    await receiving.stop();
    await cluster.query("select pg_drop_replication_slot('lifeboat_receive')");
    const names = (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name.slice(9));
    const segments = names.filter((name) => name.length === 24);
    expect(segments.length).toBeGreaterThan(8);

    const small = await mounted(70);
    const data = join(small.path, "data");
    await mkdir(join(data, "global"), { recursive: true });
    await mkdir(join(data, "pg_wal"));
    const control = "global/pg_control";
    await copyFile(join(cluster.dataDirectory, control), join(data, control));
    const spool = join(data, "pg_wal", "lifeboat.spool");
    const after = segments.at(-10) as string;
    const request = { repository: kept.repository, after, spool, idleMs: 500, signal };
    let most = 0;
    let isOver = false;
    const prefetching = prefetchWal(request).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      const ready = (await readdir(spool).catch(() => [])).filter((name) => name.length === 24);
      most = Math.max(most, ready.length);
      expect(small.free).toBeGreaterThanOrEqual(64 * MIB);
      await delay(5);
    }
    await prefetching;
    expect(most).toBeGreaterThan(0);
    expect(existsSync(spool)).toBe(false);
    // And where there is none to spare, nothing is brought at all.
    small.fill(32 * MIB);
    await prefetchWal({ ...request, idleMs: 600_000 });
    expect(existsSync(spool)).toBe(false);
  });

  describe("of the scratch folder", () => {
    const before = process.env.TMPDIR;
    afterEach(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });

    test("ends an export, and an import, with what to do and nothing left", async ({
      skip,
      onTestFinished,
    }) => {
      if (!(await hasProgram(cluster.programs, "pg_dump"))) skip("there is no pg_dump");
      const small = await mounted(128);
      process.env.TMPDIR = small.path;
      const source = postgresDumpSource({ connection: { url: cluster.superuserUrl } });
      const { repository } = kept;
      const exporting = () =>
        exportToRepository({
          ...{ repository, source, signal },
          run: async (steps) => {
            for (const step of steps) await step.run(() => {});
          },
        });
      const holder = new pg.Client(cluster.superuserUrl);
      onTestFinished(() => holder.end());
      await holder.connect();
      // The dump has begun, and waits for the table: filling a disk takes longer than such a dump.
      await holder.query("begin; lock table padding");
      const failing = expect(exporting()).rejects.toMatchObject({
        code: "EXPORT_FAILED",
        remedy: expect.stringContaining("TMPDIR"),
      });
      await expect.poll(() => readdir(small.path)).not.toEqual([]);
      small.fill();
      await holder.query("commit");
      await failing;
      expect(await readdir(small.path)).toEqual([".filler"]);
      await expect(exporting()).rejects.toMatchObject({
        code: "SCRATCH_FULL",
        kind: "refused",
      });
      small.makeRoom();
      const { id } = await exporting();
      await cluster.query("create database filled template template0", "postgres");
      const into = cluster.superuserUrl.replace(/app$/, "filled");
      const origin = await findExport(repository, id);
      const again = fillingAt(small);
      const importing = importDump({
        ...{ origin, into, noOwner: false, signal },
        run: async (steps) => {
          for (const step of steps) await step.run(again);
        },
      }).catch((cause: unknown) => cause);
      expect(await importing).toBeInstanceOf(LifeboatError);
      expect(await importing).toMatchObject({ code: "SCRATCH_FULL" });
      expect(await readdir(small.path)).toEqual([".filler"]);
      expect(
        await cluster.query("select from pg_class where relname = 'ledger'", "filled"),
      ).toEqual([]);
    });
  });
});
