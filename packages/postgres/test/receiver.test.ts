import { rename } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { PATIENCE } from "../../../test/support/patience.ts";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import {
  type ClusterRepository,
  repositoryBeside,
} from "../../../test/support/postgres-repository.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";
import { scanSegments } from "../src/wal/archived-segment.ts";
import { lsnOf } from "../src/wal/lsn.ts";
import { WalReceiver } from "../src/wal/receiver.ts";
import {
  logName,
  segmentAt,
  segmentBefore,
  segmentName,
  segmentStart,
} from "../src/wal/segment-name.ts";

const SEGMENT = 1 << 20;
const never = new AbortController().signal;

describe.each(await availableMajors())("the WAL stream of a server of version %i", (major) => {
  let cluster: TestCluster;
  let kept: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster({ major, initdb: ["--wal-segsize=1"] });
    kept = await repositoryBeside(cluster);
    await cluster.query("create table t(n int, filler text)");
  });
  afterAll(() => cluster?.stop());

  /** @param slotKeepsBytes so little that each segment is fetched as soon as it is whole */
  async function start(slotKeepsBytes: number | null = 0): Promise<WalReceiver> {
    const connection = { url: cluster.superuserUrl };
    const server = { ...(await withClient(connection, describeServer)), slotKeepsBytes };
    return WalReceiver.start({ connection, server, folder: kept.folder });
  }

  const state = async () =>
    (await cluster.query<{ state: string }>("select state from pg_stat_replication"))[0]?.state;
  /** Without a commit, which may wait for standbys. */
  const writeASegment = async () => {
    await cluster.query("select pg_create_restore_point('more')");
    await cluster.query("select pg_switch_wal()");
  };

  async function position(): Promise<bigint> {
    const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_lsn() as lsn");
    return lsnOf(row?.lsn as string);
  }

  async function slots(): Promise<number> {
    return (await cluster.query("select from pg_replication_slots")).length;
  }

  test("says nothing of what it has where commits wait for standbys: none is held by a backup, or let go by it", async () => {
    await cluster.query("alter system set synchronous_standby_names = '*'");
    await cluster.query("select pg_reload_conf()");
    const connection = { url: cluster.superuserUrl, silenceMs: 8_000 };
    const facts = () => withClient(connection, describeServer);
    await vi.waitFor(async () => expect((await facts()).synchronousStandbys).toBe("*"), PATIENCE);
    const receiver = await WalReceiver.start({
      connection,
      server: { ...(await facts()), slotKeepsBytes: 0 },
      folder: kept.folder,
    });
    try {
      const said = async () =>
        (await cluster.query("select reply_time, flush_lsn from pg_stat_replication"))[0];
      await writeASegment();
      await vi.waitFor(async () => expect((await said())?.reply_time).toBeTruthy(), PATIENCE);
      expect((await said())?.flush_lsn).toBeNull();
    } finally {
      await receiver.close();
      await cluster.query("alter system reset synchronous_standby_names");
      await cluster.query("select pg_reload_conf()");
    }
    await vi.waitFor(async () => expect((await facts()).synchronousStandbys).toBe(""), PATIENCE);
  });

  test("brings every segment while much is written, and ends with its slot", async () => {
    const before = await position();
    const receiver = await start();
    expect(await slots()).toBe(1);
    const client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    await client.connect();
    for (let round = 0; round < 15; round++)
      await client.query(
        "insert into t select n, md5(random()::text) || repeat('z', 900) from generate_series(1, 1500) n",
      );
    await client.end();
    await cluster.query("select pg_switch_wal()");
    const first = segmentAt(before, SEGMENT);
    const last = segmentBefore(
      segmentStart(segmentAt(await position(), SEGMENT), SEGMENT),
      SEGMENT,
    );
    await receiver.until(segmentStart(last + 1n, SEGMENT), never);
    await receiver.close();
    await vi.waitFor(async () => expect(await slots()).toBe(0), PATIENCE);
    const refs = Array.from({ length: Number(last - first) + 1 }, (_, i) => ({
      timeline: 1,
      number: first + BigInt(i),
    }));
    expect(refs.length).toBeGreaterThan(20);
    const scan = await scanSegments(kept.folder, refs as [(typeof refs)[0]], SEGMENT);
    expect(scan.broken).toBeUndefined();
    expect(scan.marks.filter(({ kind }) => kind === "commit").length).toBeGreaterThanOrEqual(15);
  });

  test("leaves the server alone until a burst of WAL waits there, and lets go of what it has by the next one", async () => {
    const begun = segmentAt(await position(), SEGMENT);
    const receiver = await start(8 * SEGMENT);
    const has = (number: bigint) => kept.folder.statLog(logName(segmentName(1, number, SEGMENT)));
    const keptFrom = async () => {
      const [slot] = await cluster.query<{ lsn: string }>(
        "select restart_lsn as lsn from pg_replication_slots",
      );
      return segmentAt(lsnOf(slot?.lsn as string), SEGMENT);
    };
    try {
      await writeASegment();
      expect(await state()).toBe("startup");
      expect(await has(begun)).toBeUndefined();
      await writeASegment();
      await vi.waitFor(async () => expect(await has(begun + 1n)).toBeDefined(), PATIENCE);
      await vi.waitFor(async () => expect(await state()).toBe("startup"), PATIENCE);
      for (let segments = 0; segments < 2; segments++) await writeASegment();
      await vi.waitFor(async () => expect(await has(begun + 3n)).toBeDefined(), PATIENCE);
      await vi.waitFor(
        async () => expect(await keptFrom()).toBeGreaterThanOrEqual(begun + 2n),
        PATIENCE,
      );
    } finally {
      await receiver.close();
    }
  });

  test("says at once when the repository takes no more, or the server goes away", async () => {
    const failing = await start();
    await rename(kept.path, `${kept.path}-away`);
    try {
      await cluster.query("insert into t values (1, 'lost')");
      await cluster.query("select pg_switch_wal()");
      await vi.waitFor(() => expect(failing.signal.aborted).toBe(true), PATIENCE);
      await expect(failing.until(1n << 60n, never)).rejects.toMatchObject({
        name: "LifeboatError",
      });
    } finally {
      await failing.close();
      await rename(`${kept.path}-away`, kept.path);
    }
    const cut = await start();
    await cluster.query("select pg_terminate_backend(pid) from pg_stat_replication");
    await vi.waitFor(() => expect(cut.signal.aborted).toBe(true), PATIENCE);
    expect(cut.signal.reason).toMatchObject({ code: "WAL_STREAM_FAILED" });
    await cut.close();
    await vi.waitFor(async () => expect(await slots()).toBe(0), PATIENCE);
  });
});
