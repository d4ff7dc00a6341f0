import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { backup, drill, Repository, RepositoryMemory, restore } from "@lifeboat/core";
import {
  bringUpStandby,
  findPrograms,
  makeStandby,
  postgresEngine,
  programPath,
  runAs,
  Server,
  serverAccount,
} from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";
import { execa } from "execa";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type DebianCluster,
  hasDebianTools,
  startDebianCluster,
} from "../support/debian-cluster.ts";
import { ask, ownedFolder } from "../support/postgres.ts";

const MAJOR = 15;
const signal = new AbortController().signal;

describe.runIf(await hasDebianTools())("a cluster made by pg_createcluster", () => {
  let cluster: DebianCluster;
  let folder: string;
  let repository: Repository;
  const offline = postgresEngine({});

  beforeAll(async () => {
    cluster = await startDebianCluster(MAJOR, {
      "10-memory.conf": "work_mem = '7MB'\n",
      "20-names.conf": "cluster_name = 'naïve 🛟'\n",
    });
    folder = await ownedFolder(await serverAccount());
    await mkdir(join(folder, "repository"));
    repository = await Repository.open({
      storage: filesystemStorage({ path: join(folder, "repository") }),
      app: "debian",
      memory: new RepositoryMemory(join(folder, "state")),
      mode: "write",
    });
    const client = new pg.Client(cluster.url);
    await client.connect();
    await client.query("create table ledger as select generate_series(1, 100) as n");
    await client.query("alter system set maintenance_work_mem = '33MB'");
    await client.end();
    const engine = postgresEngine({ connection: { url: cluster.url } });
    await backup({ repository, engine, type: "full", options: {}, signal });
    // Nothing of the original may be needed, and nothing of it may help.
    await cluster?.drop();
  });

  afterAll(async () => {
    await cluster.drop();
    await rm(folder, { recursive: true });
  });

  test("restores with its settings in the data directory, and starts with nothing but that", async () => {
    const to = join(folder, "copy");
    const { findings } = await restore({
      repository,
      engines: [offline],
      target: { kind: "immediate" },
      to,
      tablespaceMapping: new Map(),
      force: false,
      replay: false,
      // Its own segments are with it: the archive is asked, and has no more.
      fetchCommand: ["false"],
      signal,
    });
    expect(findings.map(({ id }) => id)).toContain("settings-rewritten");
    expect(await readdir(join(to, "conf.d"))).toEqual(["10-memory.conf", "20-names.conf"]);
    const settings = await readFile(join(to, "postgresql.conf"), "utf8");
    expect(settings).toMatch(/^#data_directory = .*# lifeboat restore: /m);
    expect(settings).toMatch(/^include_dir = 'conf.d'/m);

    const account = await serverAccount(to);
    const server = await Server.start({
      programs: await findPrograms({ major: MAJOR }),
      account,
      dataDirectory: to,
    });
    try {
      await server.accepting("postgres");
      const shown: unknown[] = [];
      for (const name of [
        "work_mem",
        "maintenance_work_mem",
        "cluster_name",
        "data_directory",
        "hba_file",
      ])
        shown.push(
          ...(await ask(server, `select current_setting('${name}') as value`, "postgres")),
        );
      expect(shown).toEqual(
        // A cluster's name is kept in ASCII by the server.
        ["7MB", "33MB", expect.stringContaining("na"), to, join(to, "pg_hba.conf")].map(
          (value) => ({
            value,
          }),
        ),
      );
      expect(await ask(server, "select count(*)::int as n from ledger", "postgres")).toEqual([
        { n: 100 },
      ]);
    } finally {
      await server.stop();
    }
  });

  test("replayed with no commit since its base, is said to hold the backup's own state", async () => {
    const to = join(folder, "replayed");
    const restored = await restore({
      repository,
      engines: [offline],
      target: { kind: "immediate" },
      to,
      tablespaceMapping: new Map(),
      force: false,
      replay: true,
      fetchCommand: ["false"],
      signal,
    });
    const [folderOf] = await repository.folders("postgres");
    const { manifests } = await repository.backups(folderOf as NonNullable<typeof folderOf>);
    expect(restored.recoveredTo).toBe(manifests[0]?.consistentAt);
  });

  test("into a place with an impossible name is refused in words", async () => {
    const restoring = restore({
      repository,
      engines: [offline],
      target: { kind: "latest" },
      to: join(folder, "x".repeat(300)),
      tablespaceMapping: new Map(),
      force: false,
      replay: false,
      fetchCommand: [],
      signal,
    });
    await expect(restoring).rejects.toMatchObject({ code: "TARGET_UNWRITABLE" });
  });

  test("passes a drill", async () => {
    const checks = () => [{ name: "all there", sql: "select count(*) = 100 from ledger" }];
    const report = await drill({
      repository,
      engines: [offline],
      target: { kind: "latest" },
      checks,
      keep: false,
      signal,
    });
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.ok).toBe(true);
  });
});

test.runIf(await hasDebianTools())(
  "a standby of it has its settings in the data directory, and on its own host a port of its own",
  async () => {
    const cluster = await startDebianCluster(MAJOR, {
      "10-memory.conf": "work_mem = '7MB'\nwal_receiver_status_interval = '1s'\n",
    });
    const account = await serverAccount();
    const folder = await ownedFolder(account);
    const path = join(folder, "standby");
    const programs = await findPrograms({ major: MAJOR });
    const connection = { url: cluster.url };
    const report = () => {};
    const primary = Number(new URLSearchParams(cluster.url.split("?")[1]).get("port"));
    try {
      const standby = await makeStandby({
        ...{ connection, to: path, maxRate: null, tablespaceMapping: new Map() },
        ...{ fetchCommand: [], report, signal },
      });
      expect(standby.port).toBeGreaterThan(primary);
      expect(standby.findings).toContainEqual(
        expect.objectContaining({
          id: "standby-port",
          summary: expect.stringMatching(new RegExp(`${primary}.*listens on ${standby.port}$`)),
        }),
      );
      await bringUpStandby({ connection, standby, report, signal });
      const client = new pg.Client(cluster.url.replace(String(primary), String(standby.port)));
      await client.connect();
      const { rows } = await client.query(
        "select pg_is_in_recovery(), current_setting('work_mem')",
      );
      await client.end();
      expect(rows).toEqual([{ pg_is_in_recovery: true, current_setting: "7MB" }]);
    } finally {
      const words = ["stop", "-m", "immediate", "-w", "-D", path];
      await execa(programPath(programs, "pg_ctl"), words, { ...runAs(account), reject: false });
      await cluster.drop();
      await rm(folder, { recursive: true });
    }
  },
);
