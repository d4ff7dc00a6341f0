import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { hasProgram, type Server } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ask,
  outermostMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { restoreBeside, runProgram, startAsItIs } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

const majors = await outermostMajors();

describe.each(majors)("a restored cluster of version %i", (major) => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let fetchCommand: string[];
  let fast: string;
  let beforeMistake: Date;

  beforeAll(async () => {
    cluster = await startCluster({ major, settings: { archive_mode: "on" } });
    store = await repositoryBeside(cluster);
    await archiveInto(cluster);
    fetchCommand = [...(await walCommand(cluster)), "fetch"];
    fast = await tablespaceFolder(cluster, "fast disk");
    await cluster.query(`create tablespace fast location '${fast}'`);
    await cluster.query("create table kept(n int) tablespace fast");
    await cluster.query("create table dropped(n int)");
    await cluster.query("insert into kept select generate_series(1, 1000)");
    await store.take();
    await cluster.query("insert into dropped values (1)");
    beforeMistake = await now();
    await cluster.query("drop table dropped");
    await cluster.query("insert into kept values (1001)");
    await archived();
  });

  afterAll(() => cluster.stop());

  /** The server's clock, with a pause on either side that no commit falls into. */
  async function now(): Promise<Date> {
    await delay(20);
    const [row] = await cluster.query<{ now: Date }>("select clock_timestamp() as now");
    await delay(20);
    return row?.now as Date;
  }

  /** Until all that was written is in the repository. */
  async function archived(): Promise<void> {
    const [last] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    const done = `select coalesce(last_archived_wal >= '${last?.name}', false) as done from pg_stat_archiver`;
    while (!(await cluster.query<{ done: boolean }>(done))[0]?.done) await delay(50);
  }

  const into = (name: string) => ({
    to: join(cluster.directory, name),
    tablespaceMapping: new Map([[fast, join(cluster.directory, `${name}-fast`)]]),
    fetchCommand,
  });

  test("starts by itself, recovers to the last commit and opens, on a timeline of its own", async () => {
    const report = await restoreBeside(cluster, store, into("latest"));
    expect(report).toMatchObject({
      path: join(cluster.directory, "latest"),
      willRecoverTo: { lsn: expect.stringMatching(/^0\/[0-9A-F]+$/) },
      recoveredTo: null,
    });
    const server = await startAsItIs(cluster, report.path);
    try {
      await server.accepting("postgres");
      await promoted(server);
      expect(await ask(server, "select count(*)::int as n from kept", "app")).toEqual([
        { n: 1001 },
      ]);
      const [timeline] = await ask(
        server,
        "select pg_walfile_name(pg_current_wal_lsn()) as name",
        "app",
      );
      expect(timeline?.name).toMatch(/^00000002/);
      const [place] = await ask(
        server,
        "select pg_tablespace_location(oid) as place from pg_tablespace where spcname = 'fast'",
        "app",
      );
      expect(place).toEqual({ place: join(cluster.directory, "latest-fast") });
    } finally {
      await server.stop();
    }
  });

  test("recovers to the instant before a table was dropped, started by pg_ctl", async () => {
    const target = { kind: "time", at: beforeMistake, exclusive: false } as const;
    const { path } = await restoreBeside(cluster, store, { ...into("before"), target });
    const options = `-c listen_addresses='' -c unix_socket_directories='${path}'`;
    const log = join(path, "server.log");
    const start = ["-D", path, "-o", options, "-l", log, "start"];
    const started = await runProgram(cluster, "pg_ctl", start);
    expect(started.failed, started.all).toBe(false);
    const client = new pg.Client({ host: path, port: 5432, user: "postgres", database: "app" });
    try {
      await client.connect();
      // pg_ctl calls a server ready that can be read and is still recovering.
      while ((await client.query("select pg_is_in_recovery() as busy")).rows[0]?.busy)
        await delay(50);
      const { rows } = await client.query("select * from dropped");
      expect(rows).toEqual([{ n: 1 }]);
    } finally {
      await client.end();
      const stopped = await runProgram(cluster, "pg_ctl", ["-D", path, "-m", "fast", "stop"]);
      expect(stopped.failed, stopped.all).toBe(false);
    }
  });

  test("is a good backup to the server's own programs, belongs to its account, and is closed", async () => {
    const order = { ...into("untouched"), target: { kind: "immediate" } } as const;
    const { path } = await restoreBeside(cluster, store, order);
    for (const name of [
      "",
      "PG_VERSION",
      "base",
      "postgresql.auto.conf",
      "pg_wal",
      "recovery.signal",
    ]) {
      const { uid, mode } = await stat(join(path, name));
      expect([name, uid, mode & 0o077]).toEqual([name, cluster.account.uid, 0]);
    }
    const segments = (await readdir(join(path, "pg_wal"))).filter((name) => name.length === 24);
    expect(segments.length).toBeGreaterThan(0);
    const status = await readdir(join(path, "pg_wal", "archive_status"));
    expect(status).toEqual(segments.map((name) => `${name}.done`));
    if (!(await hasProgram(cluster.programs, "pg_verifybackup"))) return;
    // A tablespace elsewhere changes tablespace_map, which is under the manifest's checksum too.
    const verified = await runProgram(cluster, "pg_verifybackup", ["-i", "tablespace_map", path]);
    expect(verified.all).toContain("backup successfully verified");
  });
});

async function promoted(server: Server): Promise<void> {
  const busy = "select pg_is_in_recovery() as busy";
  while ((await ask<{ busy: boolean }>(server, busy, "app"))[0]?.busy) await delay(50);
}
