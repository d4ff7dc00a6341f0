import { chown, mkdir, readdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { list, verify, WatchNotes, watch } from "@lifeboat/core";
import {
  dropSlot,
  listSlots,
  type PostgresEngineInit,
  postgresEngine,
  receiveWal,
  Server,
} from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { keptFrom } from "../../packages/postgres/src/archive/receiver-status.ts";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { formatLsn, parseLsn } from "../../packages/postgres/src/wal/lsn.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { ask, availableMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { type Counted, countAfter, restoreBeside } from "../support/postgres-copies.ts";
import { type Receiving, startReceiving } from "../support/postgres-receiving.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const majors = await availableMajors();

describe.each(majors)("WAL received from a server of version %i", (major) => {
  let cluster: TestCluster;
  let kept: ClusterRepository;
  let receiving: Receiving | undefined;
  /** What depends on the server is asked of every version, the rest of one. */
  const thorough = major === majors.at(-1);

  beforeAll(async () => {
    cluster = await startCluster({ major, initdb: ["--wal-segsize=1"] });
    kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int primary key)");
    await kept.take();
  });
  afterEach(async () => {
    await receiving?.stop();
  });
  afterAll(() => cluster?.stop());

  function receive(): Receiving {
    receiving = startReceiving(cluster, kept);
    return receiving;
  }

  function receiveThrough(slot: string) {
    const controller = new AbortController();
    const connection = { url: cluster.superuserUrl };
    const { signal } = controller;
    const done = receiveWal({ connection, folder: kept.folder, slot, report: () => {}, signal });
    return { controller, done };
  }

  async function commit(n: number): Promise<void> {
    await cluster.query(`insert into ledger values (${n})`);
  }

  async function position(): Promise<bigint> {
    const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
    return parseLsn(row?.lsn as string) as bigint;
  }

  /** Everything that is committed now is durable. */
  async function caughtUp(receiver: Receiving): Promise<void> {
    const end = await position();
    await expect.poll(() => receiver.durable).toBeGreaterThanOrEqual(end);
  }

  const rows = async () =>
    (await cluster.query<{ count: number }>("select count(*)::int from ledger"))[0]?.count;
  const parts = async () =>
    (await Array.fromAsync(kept.folder.listLog()))
      .map(({ name }) => name)
      .filter((name) => name.endsWith(".part"));
  const status = () =>
    postgresEngine({
      connection: { url: cluster.superuserUrl },
      archive: { mode: "receive" },
    }).status(kept.folder, null);
  const restored = (): Promise<Counted> => countAfter(cluster, kept);

  test("a commit can be restored as soon as it is shipped, long before its segment is whole", async () => {
    const receiver = receive();
    await commit(1);
    await caughtUp(receiver);
    // A server writes a little now and then, and the part before goes once the next is there.
    await expect.poll(parts).toHaveLength(1);
    const before = await parts();
    await commit(2);
    const lsn = formatLsn(await position());
    await caughtUp(receiver);
    // What the server called its position then: no record begins there until more is written.
    const { manifests } = await kept.repository.backups(kept.folder);
    const target = { kind: "lsn", lsn, exclusive: false } as const;
    expect((await kept.offline.plan(kept.folder, manifests, target, {})).willRecoverTo.lsn).toBe(
      lsn,
    );
    await expect.poll(parts).toHaveLength(1);
    expect(await parts()).not.toEqual(before);
    expect(await restored()).toMatchObject({ count: await rows() });
    const { windows } = await list({
      repository: kept.repository,
      engines: [kept.offline],
      live: null,
    });
    const [row] = await cluster.query<{ now: Date }>("select clock_timestamp() as now");
    expect(Date.parse(windows.at(-1)?.to as string)).toBeGreaterThan(
      (row?.now.getTime() ?? 0) - 60_000,
    );
    const never = new AbortController().signal;
    const report = await verify({
      repository: kept.repository,
      engines: [kept.offline],
      deep: true,
      signal: never,
    });
    expect(report.problems).toEqual([]);
  });

  test("what the server was told is durable is told to whoever runs the receiver, too", async () => {
    const confirmed = async () => {
      const [slot] = await cluster.query<{ lsn: string }>(
        "select restart_lsn::text as lsn from pg_replication_slots where slot_name = 'lifeboat_receive'",
      );
      return parseLsn(slot?.lsn as string) as bigint;
    };
    const receiver = receive();
    await commit(7001);
    await caughtUp(receiver);
    // The rest of the segment comes at once, and is stored between two looks at what there is.
    await cluster.query("select pg_switch_wal()");
    const end = ((await position()) / 0x100000n) * 0x100000n;
    await expect.poll(confirmed).toBeGreaterThanOrEqual(end);
    await receiver.stop();
    expect(receiver.durable).toBe(await confirmed());
  });

  test.runIf(thorough)(
    "a part is replayed by hand as RESTORE.md says, by zstd and truncate alone",
    async () => {
      const receiver = receive();
      await commit(20);
      await caughtUp(receiver);
      await receiver.stop();
      const [part = ""] = await parts();
      const to = join(cluster.directory, "by-hand");
      const { path } = await restoreBeside(cluster, kept, { to, fetchCommand: ["false"] });
      const segment = join(path, "pg_wal", part.slice(9, 33));
      const file = kept.file(kept.folder.logPath(part));
      const { uid, gid, foreign } = cluster.account;
      await execa("sh", [
        "-c",
        `zstd -dcq '${file}' > '${segment}' && truncate -s 1M '${segment}'`,
      ]);
      if (foreign) await chown(segment, uid, gid);
      const wal = kept.file(`${kept.folder.path}/wal`);
      const server = await Server.start({
        programs: cluster.programs,
        account: cluster.account,
        dataDirectory: path,
        settings: {
          restore_command: `zstd -dcq "${wal}/$(echo %f | cut -c1-8)/%f.zst" > "%p"`,
          hot_standby: "off",
          archive_mode: "off",
        },
      });
      try {
        await server.accepting("postgres");
        const [row] = await ask<{ count: number }>(
          server,
          "select count(*)::int from ledger",
          "app",
        );
        expect(row?.count).toBe(await rows());
      } finally {
        await server.stop("immediate");
      }
    },
  );

  test.runIf(thorough)(
    "parts go when their segment is whole, and one left by a killed run too",
    async () => {
      const receiver = receive();
      await commit(3);
      await caughtUp(receiver);
      const [left] = await parts();
      await receiver.stop();
      const again = receive();
      await cluster.query("select pg_switch_wal()");
      await commit(4);
      await caughtUp(again);
      await expect.poll(parts).not.toContain(left);
      await again.stop();
      expect(await restored()).toMatchObject({ count: await rows() });
    },
  );

  test.runIf(thorough)(
    "what was received before it was told to stop is shipped, and the slot is left and named",
    async () => {
      const receiver = receive();
      await caughtUp(receiver);
      await commit(5);
      const end = await position();
      const sent = async () => {
        const [row] = await cluster.query<{ lsn: string }>(
          "select sent_lsn as lsn from pg_stat_replication where application_name = 'lifeboat_receive'",
        );
        return parseLsn(row?.lsn ?? "0/0") as bigint;
      };
      await expect.poll(sent).toBeGreaterThanOrEqual(end);
      // What was sent before that answer was taken before this one.
      await position();
      await receiver.stop();
      expect(receiver.durable).toBeGreaterThanOrEqual(end);
      expect(await listSlots({ url: cluster.superuserUrl })).toMatchObject([
        { name: "lifeboat_receive", owner: "lifeboat", active: false },
      ]);
      await commit(50);
      expect((await status()).archive?.lagBytes).toBeGreaterThan(0);
    },
  );

  test.runIf(thorough)(
    "a backup that streamed WAL for itself while nobody received leaves no hole: what the slot kept comes first",
    async () => {
      const receiver = receive();
      await caughtUp(receiver);
      await receiver.stop();
      for (const n of [51, 52, 53]) {
        await commit(n);
        await cluster.query("select pg_switch_wal()");
      }
      const { manifests } = await kept.repository.backups(kept.folder);
      await kept.take({ wal: "stream" });
      const live = { connection: { url: cluster.superuserUrl } };
      // As it is told while that backup is under way, for more than a minute.
      const holes = async (init: PostgresEngineInit) => {
        vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });
        const reach = await postgresEngine(init).reach(kept.folder, manifests);
        return reach.holes().finally(() => vi.useRealTimers());
      };
      // What the backup stored lies behind the three that are still to come.
      expect((await status()).archive?.lagBytes).toBeGreaterThan(2 * 0x100000);
      expect(await holes(live)).toHaveLength(1);
      expect(await holes({ ...live, archive: { mode: "receive" } })).toEqual([]);
      const next = receive();
      await caughtUp(next);
      const { windows } = await list({
        repository: kept.repository,
        engines: [kept.offline],
        live: null,
      });
      expect(windows).toHaveLength(1);
      expect(next.holes).toEqual([]);
    },
  );

  test.runIf(thorough)(
    "while the repository is away it waits, tells the log so once, and goes on by itself when it is back",
    async () => {
      const receiver = receive();
      await caughtUp(receiver);
      await rename(kept.path, `${kept.path}-away`);
      // As a mount point without its disk.
      await mkdir(kept.path);
      await commit(6);
      await expect.poll(() => receiver.notes.at(-1)).toMatch(/tries again in/);
      expect(await readdir(kept.path)).toEqual([]);
      await rmdir(kept.path);
      await rename(`${kept.path}-away`, kept.path);
      await caughtUp(receiver);
      expect(await restored()).toMatchObject({ count: await rows() });
      expect(receiver.log).toEqual([
        expect.stringMatching(/^WAL of \d+: nothing is shipped since .* is gone; /),
        expect.stringMatching(/^WAL of \d+: shipping again after .*; nothing is lost$/),
      ]);
    },
  );

  /** The repository, which takes what has such a name only once it is told to go on. */
  const slowRepository = (named: RegExp) => {
    const { storage } = kept.folder;
    const held = Promise.withResolvers<void>();
    let waiting = 0;
    const slow = faultyStorage(storage, {
      create: async (path, content) => {
        if (named.test(path)) {
          waiting++;
          await held.promise;
        }
        return storage.create(path, content);
      },
    });
    return { storage: slow, waiting: () => waiting, goOn: held.resolve };
  };

  test.runIf(thorough)(
    "a repository that takes longer than a server may say nothing is no silence of the server, which is not left for it",
    async () => {
      const silenceMs = 2_500;
      const slow = slowRepository(/[0-9A-F]{24}\.zst$/);
      receiving = startReceiving(cluster, { folder: kept.folder.over(slow.storage) }, silenceMs);
      const receiver = receiving;
      await caughtUp(receiver);
      // As many segments as make it stop listening.
      for (let round = 0; round < 4; round++)
        await cluster.query(
          "select pg_logical_emit_message(false, 'ballast', repeat('x', 900000)), pg_switch_wal()",
        );
      await expect.poll(slow.waiting).toBe(1);
      await delay(silenceMs + 1_000);
      slow.goOn();
      await caughtUp(receiver);
      expect(receiver.log).toEqual([]);
    },
  );

  test.runIf(thorough)(
    "a server that ended the stream while the repository took long is said to have ended it, and not to be silent",
    async () => {
      const silenceMs = 1_000;
      const slow = slowRepository(/./);
      receiving = startReceiving(cluster, { folder: kept.folder.over(slow.storage) }, silenceMs);
      const receiver = receiving;
      await cluster.query("select pg_logical_emit_message(true, 'ballast', 'x')");
      await expect.poll(slow.waiting).toBe(1);
      await cluster.query("select pg_terminate_backend(pid) from pg_stat_replication");
      await delay(silenceMs + 500);
      slow.goOn();
      await caughtUp(receiver);
      expect(receiver.log[0]).toContain("terminating connection due to administrator command");
    },
  );

  test("it comes back to a server that was started again, and follows it onto a new timeline", async () => {
    const receiver = receive();
    await caughtUp(receiver);
    await cluster.server.stop();
    await writeFile(join(cluster.dataDirectory, "standby.signal"), "");
    await receiver.stop();
    await cluster.restart({ hot_standby: "on" });
    // It streams from the standby, sees it promoted, and goes on.
    const onward = receive();
    await expect.poll(() => onward.notes.some((note) => /timeline 1/.test(note))).toBe(true);
    await cluster.query("select pg_promote()");
    await commit(7);
    await caughtUp(onward);
    await onward.stop();
    expect(await restored()).toMatchObject({ count: await rows(), timeline: 2 });
    // Another start on the new timeline finds its place, too, and brings its history where that is not there.
    await commit(8);
    await kept.folder.removeLog("00000002/00000002.history");
    const third = receive();
    await caughtUp(third);
    expect(await restored()).toMatchObject({ count: await rows(), timeline: 2 });
  });

  test.runIf(thorough)(
    "WAL that the server has no more is said to be missing, and what it has is received",
    async () => {
      const receiver = receive();
      await caughtUp(receiver);
      await receiver.stop();
      await dropSlot({ url: cluster.superuserUrl }, "lifeboat_receive");
      for (let round = 0; round < 4; round++) {
        await cluster.query(
          "select pg_logical_emit_message(false, 'ballast', repeat('x', 900000)), pg_switch_wal()",
        );
        await cluster.query("checkpoint");
      }
      const behind = receive();
      await expect.poll(() => behind.holes).toHaveLength(1);
      await commit(9);
      await caughtUp(behind);
      await kept.take();
      await commit(10);
      await caughtUp(behind);
      expect(await behind.stop()).toMatchObject({ holes: 1, slot: "lifeboat_receive" });
      expect(await restored()).toMatchObject({ count: await rows() });
    },
  );

  test.runIf(thorough)(
    "of WAL that is gone twice each loss is told once, also where the slot was to keep it",
    async () => {
      const wal = join(cluster.dataDirectory, "pg_wal");
      const nameAt = async (position: string) =>
        (await cluster.query<{ name: string }>(`select pg_walfile_name(${position}) as name`))[0]
          ?.name ?? "";
      const receiver = receive();
      for (const round of [1, 2]) {
        await caughtUp(receiver);
        await rename(kept.path, `${kept.path}-away`);
        await mkdir(kept.path);
        const first = await nameAt("pg_current_wal_lsn()");
        const noted = receiver.notes.length;
        for (const n of [1, 2]) {
          await commit(100 * round + n);
          await cluster.query("select pg_switch_wal()");
        }
        await cluster.query("checkpoint");
        const tries = () => receiver.notes.slice(noted).some((note) => /tries again in/.test(note));
        await expect.poll(tries).toBe(true);
        const redo = await nameAt("(select redo_lsn from pg_control_checkpoint())");
        for (const name of await readdir(wal))
          if (/^[0-9A-F]{24}$/.test(name) && name >= first && name < redo)
            await rm(join(wal, name));
        await rmdir(kept.path);
        await rename(`${kept.path}-away`, kept.path);
        await caughtUp(receiver);
        expect(receiver.holes).toHaveLength(round);
      }
      await kept.take();
      expect(await receiver.stop()).toMatchObject({ holes: 2 });
    },
  );

  test.runIf(thorough)(
    "watch in mode receive ships, status says how it stands, and a hole brings a new base at once",
    async () => {
      const engine = postgresEngine({
        connection: { url: cluster.superuserUrl },
        archive: { mode: "receive" },
      });
      const stopped = await engine.status(kept.folder, null);
      expect(stopped.archive).toMatchObject({ ok: false });
      expect(stopped.alerts.map(({ id }) => id)).toContain("receiver-stopped");
      await dropSlot({ url: cluster.superuserUrl }, "lifeboat_receive");
      for (let round = 0; round < 4; round++) {
        await cluster.query(
          "select pg_logical_emit_message(false, 'ballast', repeat('x', 900000)), pg_switch_wal()",
        );
        await cluster.query("checkpoint");
      }
      const controller = new AbortController();
      const before = (await kept.repository.backups(kept.folder)).manifests.length;
      const log: string[] = [];
      const done = watch({
        repository: kept.repository,
        engine,
        notes: new WatchNotes(join(cluster.directory, "notes")),
        log: (line) => log.push(line),
        signal: controller.signal,
      });
      const manifests = async () => (await kept.repository.backups(kept.folder)).manifests.length;
      await expect.poll(manifests).toBe(before + 1);
      await commit(11);
      await expect
        .poll(async () => (await engine.status(kept.folder, null)).archive)
        .toMatchObject({ ok: true, lagBytes: 0, lagSeconds: 0 });
      // Also where nothing is configured, and no archiver works.
      const unaware = postgresEngine({ connection: { url: cluster.superuserUrl } });
      expect((await unaware.status(kept.folder, null)).archive).toMatchObject({ ok: true });
      controller.abort();
      await done;
      expect(await restored()).toMatchObject({ count: await rows() });
      expect(log.join("\n")).toMatch(/^WAL of \d+: WAL is missing .*: take a new backup$/m);
      expect(log.join("\n")).not.toContain("nothing is lost");
    },
  );

  test.runIf(thorough)(
    "through another slot than the usual one it is seen as well, with what the server keeps for it",
    async () => {
      const live = { url: cluster.superuserUrl };
      await cluster.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
      expect(await withClient(live, keptFrom)).toBeUndefined();
      const { controller, done } = receiveThrough("another");
      await expect.poll(async () => (await status()).archive).toMatchObject({ ok: true });
      expect(await withClient(live, keptFrom)).toBeGreaterThan(0n);
      controller.abort();
      await done;
      await dropSlot(live, "another");
    },
  );

  test.runIf(thorough)(
    "a server of another cluster is not received into this one's archive",
    async () => {
      const stranger = await startCluster({ major, initdb: ["--wal-segsize=1"] });
      try {
        const attempt = receiveWal({
          connection: { url: stranger.superuserUrl },
          folder: kept.folder,
          report: () => {},
          signal: new AbortController().signal,
        });
        await expect(attempt).rejects.toMatchObject({ code: "WAL_FOREIGN", kind: "refused" });
        expect(await listSlots({ url: stranger.superuserUrl })).toEqual([]);
      } finally {
        await stranger.stop();
      }
    },
  );
});
