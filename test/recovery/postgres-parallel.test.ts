import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drill, list, verify } from "@lifeboat/core";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parallelTransport } from "../../packages/postgres/src/basebackup/parallel.ts";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { describeServer } from "../../packages/postgres/src/facts/server-facts.ts";
import {
  outermostMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { restoreBeside, runProgram } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";
import { rottenTable } from "../support/rotten-table.ts";

const BACKUP_PROCESS = fileURLToPath(
  new URL("../support/postgres-backup-process.ts", import.meta.url),
);
const never = new AbortController().signal;

const outermost = await outermostMajors();

describe.each(outermost)("a backup by several workers of version %i", (major) => {
  let cluster: TestCluster;
  let kept: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster({ major });
    kept = await repositoryBeside(cluster);
    const place = await tablespaceFolder(cluster, "space");
    await cluster.query(`create tablespace space location '${place}'`);
    // Beside the cluster's own folders: another version's cluster, and what a mount point has that only root may look into.
    for (const folder of [join(place, "PG_9_1"), join(cluster.dataDirectory, "pg_wal")]) {
      await mkdir(join(folder, "lost+found"), { recursive: true });
      await writeFile(join(folder, "lost+found", "theirs"), "");
    }
    await cluster.query("create table ledger(n int primary key)");
    await cluster.query(
      "create table far tablespace space as select n, repeat(md5(n::text), 50) from generate_series(1, 25000) n",
    );
    await cluster.query(
      "create table near as select n, repeat(md5(n::text), 50) from generate_series(1, 40000) n",
    );
    await cluster.query("checkpoint");
  });
  afterAll(() => cluster?.stop());

  const practise = (id: string, sql: string) =>
    drill({
      repository: kept.repository,
      engines: [kept.offline],
      target: { kind: "backup", id },
      checks: () => [{ name: "holds", sql }],
      keep: false,
      signal: never,
    });

  test("lies in several objects, is proved by pg_verifybackup, and a copy of it holds every row", async () => {
    const { id } = await kept.take({ transport: "parallel", jobs: 3 });
    const objects = await readdir(kept.file(kept.folder.backupPath(id)));
    expect(objects).toEqual(
      expect.arrayContaining(["base.0001.tar.zst", "base.0002.tar.zst", "base.tar.zst"]),
    );
    expect(objects.filter((name) => /^\d+\.0001\.tar\.zst$/.test(name))).toHaveLength(1);
    const place = join(cluster.directory, "space-copy");
    const copy = await restoreBeside(cluster, kept, {
      target: { kind: "backup", id },
      tablespaceMapping: new Map([[join(cluster.directory, "space"), place]]),
      fetchCommand: ["false"],
    });
    const own = ["postgresql.auto.conf", "recovery.signal", "tablespace_map", "postgresql.conf"];
    const checked = await runProgram(cluster, "pg_verifybackup", [
      ...["--no-parse-wal", ...own.map((name) => `--ignore=${name}`)],
      copy.path,
    ]);
    if (checked.exitCode !== undefined)
      expect(checked.all).toContain("backup successfully verified");
    expect(await readdir(place)).toEqual([expect.stringMatching(`^PG_${major}_`)]);
    expect(await readdir(join(copy.path, "pg_wal"))).not.toContain("lost+found");
    const drilled = await practise(
      id,
      "select (select count(*) from far) = 25000 and (select count(*) from near) = 40000",
    );
    expect(drilled.checks.filter(({ ok }) => !ok)).toEqual([]);
    await verify({
      repository: kept.repository,
      engines: [kept.offline],
      deep: true,
      signal: never,
    }).then(({ problems }) => expect(problems).toEqual([]));
  });

  /** Sessions of ours that hold the server in backup mode, once they read files. */
  const modes = () =>
    cluster.query<{ query: string }>(
      "select query from pg_stat_activity where query like '%segment_size%' and application_name = 'lifeboat'",
    );

  test("holds the tablespaces of the instant at which it begins, though the server was asked about itself before", async () => {
    const connection = { url: cluster.superuserUrl };
    const server = await withClient(connection, describeServer);
    const [known] = server.tablespaces;
    const place = await tablespaceFolder(cluster, "later");
    await cluster.query(`create tablespace later location '${place}'`);
    const archives: (string | undefined)[] = [];
    await parallelTransport.takeBaseBackup({
      ...{ connection, server, label: "later", maxRate: null, parentManifest: null, jobs: 1 },
      async archive({ tablespace, part, content }) {
        for await (const _ of content);
        if (part === null) archives.push(tablespace?.location);
      },
      ...{ report: () => {}, signal: never },
    });
    await cluster.query("drop tablespace later");
    expect(archives).toEqual([undefined, known?.location, place]);
  });

  test("and one in a single stream do not go together", async () => {
    await expect(kept.take({ transport: "wire", jobs: 4 })).rejects.toMatchObject({
      code: "TRANSPORT_UNFIT",
      kind: "usage",
    });
  });

  test("that is stopped in its midst leaves the server out of backup mode", async () => {
    const stop = new AbortController();
    const taking = kept.take({ transport: "parallel", maxRate: 4 << 20 }, stop.signal);
    await expect.poll(modes).toHaveLength(1);
    stop.abort();
    await expect(taking).rejects.toMatchObject({ name: "AbortError" });
    await expect.poll(modes).toEqual([]);
    expect(await cluster.query("select slot_name from pg_replication_slots")).toEqual([]);
    expect((await kept.repository.backups(kept.folder)).problems).toEqual([]);
  });

  test("that is killed in its midst leaves the server out of backup mode, and the next one works", async () => {
    const child = execa(
      process.execPath,
      [
        ...[BACKUP_PROCESS, kept.path, join(cluster.directory, "own-state")],
        ...[cluster.superuserUrl, "parallel", "stream", String(4 << 20)],
      ],
      { reject: false },
    );
    await expect.poll(modes).toHaveLength(1);
    child.kill("SIGKILL");
    await child;
    await expect.poll(modes).toEqual([]);
    await expect
      .poll(() => cluster.query("select slot_name from pg_replication_slots"))
      .toEqual([]);
    expect((await kept.take({ transport: "parallel" })).id).toBeDefined();
  });

  test("with a damaged page is marked in the report, the list, verify, restore and drill", async () => {
    const path = await rottenTable(cluster);
    const named = `public.rotten in database app, block 1 of file ${path}`;
    // One way each; that each of the ways names them is the transports' own test.
    const transport = major === outermost[0] ? "parallel" : "wire";
    const taken = await kept.take({ transport });
    expect(taken.damage).toEqual([named]);
    expect(taken.findings).toContainEqual(
      expect.objectContaining({
        id: "pages-damaged",
        severity: "error",
        summary: expect.stringContaining(named),
      }),
    );
    const engines = [kept.offline];
    const { id } = taken;
    const { repository } = kept;
    const listed = await list({ repository, engines, live: null });
    expect(listed.backups.find((each) => each.id === id)?.damage).toEqual([named]);
    const { problems } = await verify({ repository, engines, deep: false, signal: never });
    expect(problems).toContainEqual(
      expect.objectContaining({ code: "SOURCE_DAMAGED", message: expect.stringContaining(id) }),
    );
    const drilled = await practise(id, "select true");
    expect(drilled.ok).toBe(false);
    expect(drilled.checks).toContainEqual({
      name: "pages when they were backed up",
      ok: false,
      message: named,
    });
  });
});
