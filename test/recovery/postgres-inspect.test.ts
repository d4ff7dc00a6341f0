import { readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Finding, type SnapshotRequest, status } from "@lifeboat/core";
import { makeStandby, postgresEngine } from "@lifeboat/postgres";
import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import {
  connectForReplication,
  withClient,
} from "../../packages/postgres/src/connection/connection.ts";
import { describeServer, readTablespaces } from "../../packages/postgres/src/facts/server-facts.ts";
import { chooseWalSource } from "../../packages/postgres/src/snapshot/choices.ts";
import { PATIENCE } from "../support/patience.ts";
import {
  startCluster,
  type TestCluster,
  type TestClusterOptions,
  tablespaceFolder,
} from "../support/postgres.ts";
import { archiveInto, repositoryBeside } from "../support/postgres-repository.ts";

const { signal } = new AbortController();
const open: TestCluster[] = [];
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.stop();
});

async function started(options: TestClusterOptions): Promise<TestCluster> {
  const cluster = await startCluster(options);
  open.push(cluster);
  return cluster;
}

async function findingsOf(cluster: TestCluster): Promise<Map<string, Finding>> {
  const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
  return new Map((await engine.inspect()).map((finding) => [finding.id, finding]));
}

test("a server in good order, archiving into the repository, has nothing to report", async () => {
  const settings = { archive_mode: "on", archive_timeout: "1h" };
  const cluster = await started({ settings });
  const kept = await repositoryBeside(cluster);
  await archiveInto(cluster);
  await cluster.query("create table t as select 1");
  await cluster.query("select pg_switch_wal()");
  await vi.waitFor(
    async () => expect(await Array.fromAsync(kept.folder.listLog())).not.toHaveLength(0),
    PATIENCE,
  );
  expect([...(await findingsOf(cluster)).keys()]).toEqual([]);
  const status = await kept.engine.status(kept.folder, null);
  expect(status.alerts).toEqual([]);
  expect(status.archive).toMatchObject({
    ok: true,
    lastSegment: expect.stringMatching(/^[0-9A-F]{24}$/),
  });
  expect(status.archive?.lagBytes).toBeLessThan(32 << 20);
  // The label of a backup, which is archived last, tells as much as its segment.
  await kept.take();
  await vi.waitFor(async () => {
    const { archive } = await kept.engine.status(kept.folder, null);
    expect(archive?.lastSegment).toMatch(/\.backup$/);
    expect(archive?.lagBytes).toBeLessThan(32 << 20);
  }, PATIENCE);
  // A backup waits for an archiver, but not for one that does not come up any more.
  await cluster.query("alter system set archive_library = 'none_of_that_name'");
  await cluster.query("select pg_reload_conf()");
  const marks = join(cluster.dataDirectory, "pg_wal", "archive_status");
  await vi.waitFor(async () => {
    await cluster.query("create table if not exists more as select 1; select pg_switch_wal()");
    expect((await readdir(marks)).filter((name) => name.endsWith(".ready"))).not.toEqual([]);
  }, PATIENCE);
  await withClient({ url: cluster.superuserUrl }, async (client) => {
    const facts = await describeServer(client);
    const about = { folder: kept.folder, options: {} } as SnapshotRequest;
    expect(await chooseWalSource(client, facts, about)).toBe("archive");
    const inAnHour = { ...facts, clock: new Date(facts.clock.getTime() + 3_600_000) };
    expect(await chooseWalSource(client, inAnHour, about)).toBe("stream");
  });
  // After a failover the URL may name the old primary, made a standby: nothing of it is archived, and nothing waits.
  const signalFile = join(cluster.dataDirectory, "standby.signal");
  await writeFile(signalFile, "");
  await cluster.restart();
  const ofStandby = postgresEngine({ connection: { url: cluster.superuserUrl } });
  expect(await ofStandby.status(kept.folder, null)).toMatchObject({
    archive: { ok: false },
    alerts: [{ id: "server-is-standby" }],
  });
  await rm(signalFile);
  // It had an archive, and has none any more.
  await cluster.restart({ archive_mode: "off" });
  const { status: off } = postgresEngine({ connection: { url: cluster.superuserUrl } });
  expect(await off(kept.folder, null)).toMatchObject({
    archive: null,
    alerts: [{ id: "archive-mode-off" }],
  });
});

test("a tablespace that is being dropped, whose folder is gone already, is waited for", async () => {
  const cluster = await started({});
  await cluster.query(`create tablespace going location '${await tablespaceFolder(cluster, "a")}'`);
  const [row] = await cluster.query<{ oid: number }>(
    "select oid::int from pg_tablespace where spcname = 'going'",
  );
  const link = join(cluster.dataDirectory, "pg_tblspc", String(row?.oid));
  const client = new pg.Client(cluster.superuserUrl);
  await client.connect();
  try {
    await rename(link, `${link}.gone`);
    const query = client.query.bind(client);
    let failed = 0;
    client.query = (async (text: string) => {
      try {
        return await query(text);
      } catch (thrown) {
        failed++;
        // As it is in the end, the catalog knows nothing of it either.
        await rename(`${link}.gone`, link);
        await cluster.query("drop tablespace going");
        throw thrown;
      }
    }) as typeof client.query;
    expect(await readTablespaces(client)).toEqual([]);
    expect(failed).toBe(1);
  } finally {
    await client.end();
  }
});

test("what would go wrong on the worst day is found beforehand, each with a remedy", async () => {
  const cluster = await started({ settings: { max_wal_senders: "1" } });
  await cluster.query("create unlogged table scratch(n int primary key)");
  await cluster.query("select pg_create_physical_replication_slot('left_behind', true)");
  const place = await tablespaceFolder(cluster, "space");
  await cluster.query(`create tablespace space location '${place}'`);
  const findings = await findingsOf(cluster);
  expect([...findings].map(([id, { severity }]) => `${severity} ${id}`).sort()).toEqual([
    "info tablespaces",
    "warning archive-mode-off",
    "warning slot-inactive",
    "warning slot-wal-unbounded",
    "warning unlogged-tables",
    "warning wal-senders-scarce",
  ]);
  expect(findings.get("slot-inactive")?.remedy).toContain(
    "pg_drop_replication_slot('left_behind')",
  );
  // Its index is none.
  expect(findings.get("unlogged-tables")?.summary).toMatch(
    /^1 unlogged tables .* public\.scratch:/,
  );
  expect(findings.get("tablespaces")?.summary).toContain(place);
  for (const { remedy } of findings.values()) expect(remedy).not.toBe("");
  const status = await postgresEngine({ connection: { url: cluster.superuserUrl } }).status(
    null,
    null,
  );
  expect(status.slots).toMatchObject([{ name: "left_behind", active: false, temporary: false }]);
  expect(status.alerts.map(({ id }) => id)).toEqual(["slot-inactive"]);
});

test("wal_level minimal is an error, and a backup is refused with it", async () => {
  const cluster = await started({ settings: { wal_level: "minimal", max_wal_senders: "0" } });
  const findings = await findingsOf(cluster);
  expect(findings.get("wal-level-minimal")).toMatchObject({
    severity: "error",
    remedy: expect.stringContaining("wal_level = replica"),
  });
  const kept = await repositoryBeside(cluster);
  await expect(kept.take()).rejects.toMatchObject({
    code: "WAL_LEVEL_MINIMAL",
    message: expect.stringContaining("wal_level is minimal"),
  });
  const connection = { url: cluster.superuserUrl };
  for (const slot of [undefined, null]) {
    const standby = { to: join(cluster.directory, "standby"), slot, maxRate: null };
    const more = { tablespaceMapping: new Map(), fetchCommand: [], report() {}, signal };
    await expect(makeStandby({ connection, ...standby, ...more })).rejects.toMatchObject({
      code: "WAL_LEVEL_MINIMAL",
      remedy: expect.stringContaining("wal_level = replica"),
    });
  }
  // With senders, and the level as it is, the server would not start any more.
  await expect(connectForReplication(connection)).rejects.toMatchObject({
    code: "SENDERS_EXHAUSTED",
    remedy: expect.stringContaining("wal_level = replica"),
  });
  expect(findings.has("wal-senders-scarce")).toBe(false);
});

test("archiving by nobody is an error that does not stop a backup, and no healthy archive", async () => {
  const cluster = await started({ settings: { archive_mode: "on" } });
  expect((await findingsOf(cluster)).get("archive-command-empty")).toMatchObject({
    severity: "error",
    remedy: expect.stringMatching(/set it, then: select pg_reload_conf\(\)$/),
  });
  const kept = await repositoryBeside(cluster);
  await expect(kept.take()).resolves.toMatchObject({ engine: "postgres" });
  await expect(kept.take({ wal: "archive" })).rejects.toMatchObject({
    message: expect.stringContaining("there is none"),
  });
  expect(await kept.engine.status(kept.folder, null)).toMatchObject({
    archive: { ok: false, oldestUnarchived: expect.stringMatching(/^[0-9A-F]{24}$/) },
    alerts: [{ id: "archive-command-empty" }],
  });
  // A receiver takes nothing from the archiver, which keeps all the same what it was given.
  const archive = { mode: "receive" } as const;
  const engine = postgresEngine({ connection: { url: cluster.superuserUrl }, archive });
  const inspected = await engine.inspect();
  expect(inspected.map(({ id }) => id)).not.toContain("archive-timeout-off");
  const unneeded = {
    id: "archive-command-empty",
    severity: "error",
    remedy: expect.stringContaining("archive_mode = off"),
  };
  expect(inspected).toContainEqual(expect.objectContaining(unneeded));
  const { alerts } = await engine.status(kept.folder, null);
  expect(alerts).toContainEqual(expect.objectContaining(unneeded));

  // An archiver that does not come up, for want of its library, never fails.
  await cluster.query("alter system set archive_library = 'none_of_that_name'");
  await cluster.query("select pg_reload_conf()");
  const stalled = async () => {
    const { archive, alerts } = await kept.engine.status(kept.folder, null);
    return { ok: archive?.ok, alerts: alerts.map(({ id }) => id) };
  };
  await vi.waitFor(async () => expect(await stalled()).toEqual({ ok: true, alerts: [] }), PATIENCE);
  const marks = join(cluster.dataDirectory, "pg_wal", "archive_status");
  const anHourAgo = Date.now() / 1000 - 3600;
  for (const mark of await readdir(marks)) await utimes(join(marks, mark), anHourAgo, anHourAgo);
  expect(await stalled()).toEqual({ ok: false, alerts: ["archive-stalled"] });
  expect((await findingsOf(cluster)).get("archive-stalled")?.summary).toMatch(
    /^for 60 minutes .* \d+ wait, the oldest [0-9A-F]{24}:/,
  );
});

test("a cluster that was upgraded or made anew is not taken for that of the backups before", async () => {
  const settings = { archive_mode: "on", archive_command: "true" };
  const cluster = await started({ settings });
  const { repository, take, folder } = await repositoryBeside(cluster);
  await take({ wal: "stream" });
  const alertsOf = async ({ superuserUrl: url }: TestCluster) => {
    const engines = [postgresEngine({ connection: { url } })];
    const { alerts } = await status({ repository, engines, live: "postgres" });
    return alerts.filter(({ id }) => id !== "no-drill");
  };
  const another = await started({});
  const [row] = await another.query<{ id: string }>(
    "select system_identifier::text as id from pg_control_system()",
  );
  expect(await alertsOf(another)).toMatchObject([
    { id: "no-backup", severity: "error", summary: expect.stringContaining(String(row?.id)) },
  ]);
  // Back from an upgrade, whose cluster has left a newer folder: its own archive is looked at.
  const newer = repository.folder("postgres", "9".repeat(19));
  await newer.storage.create(newer.logPath("00000001/0"), new Uint8Array(1));
  await vi.waitFor(
    async () => expect(await alertsOf(cluster)).toMatchObject([{ id: "archive-elsewhere" }]),
    PATIENCE,
  );
  expect(folder.database < newer.database).toBe(true);
});

test("a server that is not there is a finding and an alert, never thrown", async () => {
  const engine = postgresEngine({ connection: { url: "postgres://nobody@127.0.0.1:1/nothing" } });
  expect(await engine.inspect()).toMatchObject([{ id: "server-unreachable", severity: "error" }]);
  expect(await engine.status(null, null)).toMatchObject({
    archive: null,
    alerts: [{ id: "server-unreachable" }],
  });
});
