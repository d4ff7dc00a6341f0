import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, verify } from "@lifeboat/core";
import { receiveWal } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterEach, describe, expect, test, vi } from "vitest";
import { elsewhereFinding } from "../../packages/postgres/src/archive/elsewhere.ts";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { describeServer } from "../../packages/postgres/src/facts/server-facts.ts";
import { lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import { listParts } from "../../packages/postgres/src/wal/segment-part.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { countAfter } from "../support/postgres-copies.ts";
import { startReceiving } from "../support/postgres-receiving.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
} from "../support/postgres-repository.ts";

async function positionOf(cluster: TestCluster): Promise<bigint> {
  const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
  return lsnOf(row?.lsn ?? "");
}

/** A receiver that ends by itself, as it should. */
function receiveFrom({ superuserUrl: url }: TestCluster, { folder }: ClusterRepository) {
  const signal = AbortSignal.timeout(PATIENCE.timeout);
  return receiveWal({ connection: { url }, folder, report: () => {}, signal });
}

describe("the WAL of a backup", () => {
  const open: TestCluster[] = [];
  afterEach(async () => {
    vi.useRealTimers();
    for (const cluster of open.splice(0)) await cluster.stop();
  });

  async function archiving(): Promise<{ cluster: TestCluster; kept: ClusterRepository }> {
    const cluster = await startCluster({
      settings: { archive_mode: "on" },
      initdb: ["--wal-segsize=1"],
    });
    open.push(cluster);
    return { cluster, kept: await repositoryBeside(cluster) };
  }

  const walOf = async (kept: ClusterRepository, id: string) =>
    (await kept.repository.backups(kept.folder)).manifests.find((each) => each.id === id)?.details
      .wal;

  test("comes from the archive once that is proved to reach this repository, else by a stream", async () => {
    const { cluster, kept } = await archiving();
    await cluster.query("alter system set archive_command = 'true'");
    await cluster.query("select pg_reload_conf(), pg_switch_wal()");
    expect(await walOf(kept, (await kept.take()).id)).toBe("stream");
    // To the server all is well: only the repository tells that nothing of it is here.
    const status = () => kept.engine.status(kept.folder, null);
    const alerts = async () => (await status()).alerts.map(({ id }) => id);
    await expect.poll(alerts).toEqual(["archive-elsewhere"]);
    expect((await status()).archive).toMatchObject({ ok: false });
    // Where a library archives, no command is of use until that is unset.
    const [byLibrary] = await withClient({ url: cluster.superuserUrl }, async (client) => {
      const server = { ...(await describeServer(client)), archiveLibrary: "basic_archive" };
      return elsewhereFinding(client, server, kept.folder);
    });
    expect(byLibrary).toMatchObject({
      summary: expect.stringContaining("archive_library (basic_archive) stores elsewhere"),
      remedy: expect.stringContaining("alter system set archive_library = ''"),
    });
    await archiveInto(cluster);
    await cluster.query("create table t(n int)");
    await cluster.query("select pg_switch_wal()");
    await vi.waitFor(async () => {
      const [row] = await cluster.query<{ last: string }>(
        "select last_archived_wal as last from pg_stat_archiver",
      );
      expect(await kept.folder.statLog(`${row?.last.slice(0, 8)}/${row?.last}`)).toBeDefined();
    }, PATIENCE);
    expect(await status()).toMatchObject({ archive: { ok: true }, alerts: [] });
    expect(await walOf(kept, (await kept.take()).id)).toBe("archive");
    const { manifests: before } = await kept.repository.backups(kept.folder);
    await cluster.query("alter system set archive_command = 'false'");
    await cluster.query("select pg_reload_conf(), pg_create_restore_point('waits')");
    await cluster.query("select pg_switch_wal()");
    // The same segments by both ways are the same bytes.
    expect(await walOf(kept, (await kept.take({ wal: "stream" })).id)).toBe("stream");
    // While that one is under way its WAL lies ahead of what the archiver has still to bring: no hole, until the archiver drops it.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });
    const holes = async (engine: Engine) => (await engine.reach(kept.folder, before)).holes();
    expect(await holes(kept.offline)).toMatchObject([{ id: "archive-hole" }]);
    expect(await holes(kept.engine)).toEqual([]);
    await cluster.query("alter system set archive_command = 'true'");
    await cluster.query("select pg_reload_conf(), pg_create_restore_point('wakes')");
    await cluster.query("select pg_switch_wal()");
    await expect.poll(() => holes(kept.engine), PATIENCE).toMatchObject([{ id: "archive-hole" }]);
  });

  test("of a server that was promoted while nothing was archived has the timeline's history, and a copy recovers", async () => {
    const cluster = await startCluster({ settings: { hot_standby: "on" } });
    open.push(cluster);
    const kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int); insert into ledger values (1)");
    await cluster.server.stop();
    await writeFile(join(cluster.dataDirectory, "standby.signal"), "");
    await cluster.restart();
    await cluster.query("select pg_promote()");
    await cluster.query("insert into ledger values (2)");
    await kept.take();
    const { signal } = new AbortController();
    const about = { repository: kept.repository, engines: [kept.offline], deep: false, signal };
    expect((await verify(about)).problems).toEqual([]);
    expect(await countAfter(cluster, kept)).toMatchObject({ count: 2, timeline: 2 });
    // Backups were taken without it once, and it may be lost: what lies on that timeline alone needs none.
    const history = "00000002/00000002.history";
    await kept.folder.removeLog(history);
    expect(await countAfter(cluster, kept)).toMatchObject({ count: 2, timeline: 2 });
    // That of another copy, which was promoted elsewhere: its way is not this server's.
    await kept.folder.storeLog(history, async function* () {
      yield Buffer.from("1\t0/9000000\tno recovery target specified\n");
    });
    const differs = {
      code: "LOG_OBJECT_DIFFERS",
      message: expect.stringContaining(history),
    };
    await expect(kept.take()).rejects.toMatchObject(differs);
    await expect(receiveFrom(cluster, kept)).rejects.toMatchObject(differs);
  });

  test("is all that verify asks for where nothing is archived, or not yet; within an archive a hole is one", async () => {
    const { cluster, kept } = await archiving();
    const { signal } = new AbortController();
    const problems = async () => {
      const about = { repository: kept.repository, engines: [kept.offline], deep: false, signal };
      return (await verify(about)).problems.map(({ code }) => code);
    };
    const written = async (command: string) => {
      await cluster.query(`alter system set archive_command = '${command}'`);
      await cluster.query("select pg_reload_conf()");
      for (let round = 0; round < 3; round++)
        await cluster.query("select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()");
    };
    await kept.take({ wal: "stream" });
    await written("true");
    await kept.take({ wal: "stream" });
    expect(await problems()).toEqual([]);
    // Nor is one what was written before the archive begins.
    await archiveInto(cluster);
    const archived: string[] = [];
    for (let round = 0; round < 4; round++) {
      await cluster.query("select pg_logical_emit_message(false, 'test', 'x')");
      const [row] = await cluster.query<{ name: string }>(
        "select pg_walfile_name(pg_switch_wal()) as name",
      );
      archived.push(`${row?.name.slice(0, 8)}/${row?.name}`);
      // Behind the first of them.
      if (round === 0) await kept.take({ wal: "stream" });
    }
    await expect
      .poll(async () => kept.folder.statLog(archived.at(-1) as string), PATIENCE)
      .toBeDefined();
    expect(await problems()).toEqual([]);
    await kept.folder.removeLog(archived[2] as string);
    expect(await problems()).toEqual(["WAL_GAP"]);
    const about = { repository: kept.repository, engines: [kept.offline], deep: false, signal };
    expect((await verify(about)).problems[0]?.message).toContain("lifeboat status asks it");
  });

  test("of a server that was put back to an older state is not taken for that of the time before", async () => {
    const { cluster, kept } = await archiving();
    await archiveInto(cluster);
    await cluster.query("create table ledger(n int)");
    await cluster.server.stop();
    const aside = join(cluster.directory, "aside");
    await execa("cp", ["-a", cluster.dataDirectory, aside]);
    await cluster.restart();
    for (let n = 1; n <= 6; n++)
      await cluster.query(`insert into ledger values (${n}); select pg_switch_wal()`);
    const { id } = await kept.take({ wal: "archive" });
    const receiver = startReceiving(cluster, kept);
    await cluster.query("insert into ledger values (7)");
    const end = await positionOf(cluster);
    await expect.poll(() => receiver.durable, PATIENCE).toBeGreaterThanOrEqual(end);
    const { upTo } = await receiver.stop();
    await cluster.crash();
    await rm(cluster.dataDirectory, { recursive: true });
    await rename(aside, cluster.dataDirectory);
    await cluster.restart();
    await cluster.query("insert into ledger values (7)");
    // All of its segments are there, each whole: of another time.
    await expect(kept.take({ wal: "archive" })).rejects.toMatchObject({
      code: "WAL_PARTED",
      remedy: expect.stringContaining("give it a repository, or an app, of its own"),
    });
    const backups = async () =>
      (await kept.repository.backups(kept.folder)).manifests.map((each) => each.id);
    expect(await backups()).toEqual([id]);
    // Nor is it streamed: neither while it is behind, nor when it has come past what is archived.
    const received = () => receiveFrom(cluster, kept);
    await expect(received()).rejects.toMatchObject({
      code: "WAL_PARTED",
      message: expect.stringContaining(`archived up to ${upTo}`),
    });
    while ((await positionOf(cluster)) < lsnOf(upTo ?? ""))
      await cluster.query("insert into ledger values (8); select pg_switch_wal()");
    await expect(received()).rejects.toMatchObject({
      code: "WAL_PARTED",
      message: expect.stringContaining("was shipped of its segment"),
    });
    for (const { name } of await listParts(kept.folder, "00000001"))
      await kept.folder.removeLog(name);
    await expect(received()).rejects.toMatchObject({
      code: "WAL_PARTED",
      message: expect.stringContaining("does not go on where the archive ends"),
    });
  });

  test("asked for from an archive that is off is refused before anything is stored", async () => {
    const cluster = await startCluster();
    open.push(cluster);
    const kept = await repositoryBeside(cluster);
    await expect(kept.take({ wal: "archive" })).rejects.toMatchObject({
      code: "ARCHIVE_OFF",
      kind: "usage",
    });
  });

  test("an archive_command that fails does not stop a backup, which streams, and is a finding and an alert", async () => {
    const { cluster, kept } = await archiving();
    await cluster.query("alter system set archive_command = 'false'");
    await cluster.query("select pg_reload_conf(), pg_switch_wal()");
    await vi.waitFor(async () => {
      const [row] = await cluster.query<{ failed: number }>(
        "select failed_count::int as failed from pg_stat_archiver",
      );
      expect(row?.failed).toBeGreaterThan(0);
    }, PATIENCE);
    const report = await kept.take();
    expect(await walOf(kept, report.id)).toBe("stream");
    const failing = report.findings.find(({ id }) => id === "archive-failing");
    expect(failing?.severity).toBe("error");
    const status = await kept.engine.status(kept.folder, null);
    expect(status.archive).toMatchObject({ ok: false });
    expect(status.archive?.oldestUnarchived).toMatch(/^[0-9A-F]{24}$/);
    expect(status.alerts.map(({ id }) => id)).toContain("archive-failing");
  });
});
