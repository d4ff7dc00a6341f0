import { chown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  availableMajors,
  type TestCluster,
  tablespaceFolder,
} from "../../../test/support/postgres.ts";
import { UnreliableProxy } from "../../../test/support/unreliable-proxy.ts";
import { parallelTransport } from "../src/basebackup/parallel.ts";
import { pgBasebackupTransport } from "../src/basebackup/pg-basebackup.ts";
import type { TablespaceArchive } from "../src/basebackup/transport.ts";
import { wireTransport } from "../src/basebackup/wire.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";
import { runAs } from "../src/files/account.ts";
import { hasProgram, programPath } from "../src/server/programs.ts";
import { formatLsn } from "../src/wal/lsn.ts";
import { BaseBackupCase } from "./base-backup-case.ts";

/** What two backups of one quiet cluster differ in: where each begins and ends, and what the server counts. */
const DIFFERS = new Set(["backup_label", "backup_manifest", "global/pg_control"]);

describe.each(await availableMajors())("base backups of a server of version %i", (major) => {
  let one: BaseBackupCase;
  let cluster: TestCluster;
  beforeAll(async () => {
    one = await BaseBackupCase.start(major);
    ({ cluster } = one);
  });
  afterAll(() => cluster?.stop());

  async function filesBelow(folder: string): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1);
      if (entry.isDirectory()) files.set(name, "directory");
      else if (!DIFFERS.has(name)) files.set(name, (await readFile(path)).toString("base64"));
    }
    return files;
  }

  test("by pg_basebackup and by the wire hold the same files", async ({ skip }) => {
    if (!(await hasProgram(cluster.programs, "pg_basebackup")))
      skip(`the programs of version ${major} here have no pg_basebackup`);
    await cluster.query("checkpoint");
    const wire = await one.unpacked(wireTransport, "wire");
    // Of these libpq hears, where our own connections do not.
    vi.stubEnv("PGSERVICE", "elsewhere");
    vi.stubEnv("PGHOSTADDR", "192.0.2.1");
    const program = await one.unpacked(pgBasebackupTransport, "program");
    vi.unstubAllEnvs();
    const left = await filesBelow(join(wire.folder, "data"));
    const right = await filesBelow(join(program.folder, "data"));
    expect([...left.keys()].sort()).toEqual([...right.keys()].sort());
    expect(
      [...left].filter(([name, content]) => right.get(name) !== content).map(([name]) => name),
    ).toEqual([]);
    expect(left.size).toBeGreaterThan(900);
    expect(wire.backup.manifestInArchive).toBe(false);
    expect(program.backup.manifestInArchive).toBe(true);
    expect(await readdir(join(program.folder, "data"))).toContain("backup_manifest");
    const label = await readFile(join(program.folder, "data", "backup_label"), "utf8");
    expect(label).toContain("LABEL: it's a 'label' of two lines");
    for (const { startLsn, stopLsn, timeline } of [wire.backup, program.backup]) {
      expect(stopLsn).toBeGreaterThan(startLsn);
      expect(timeline).toBe(1);
    }
    await one.nothingRemains();
  });

  const remote = async () => {
    const server = await withClient({ url: cluster.superuserUrl }, describeServer);
    return { server: { ...server, dataDirectory: null } };
  };

  test("by several workers hold the same files, read from the disk as well as through the server", async () => {
    await cluster.query("create unlogged table fleeting as select generate_series(1, 1000) i");
    const session = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    await session.connect();
    await session.query("create temporary table passing as select generate_series(1, 1000) i");
    const tmp = join(cluster.dataDirectory, "base", "pgsql_tmp");
    await mkdir(tmp, { recursive: true });
    if (cluster.account.foreign) await chown(tmp, cluster.account.uid, cluster.account.gid);
    await writeFile(join(tmp, "pgsql_tmp1.0"), "of a sort");
    await cluster.query("checkpoint");
    try {
      const wire = await one.unpacked(wireTransport, "one");
      const disk = await one.unpacked(parallelTransport, "disk");
      const sql = await one.unpacked(parallelTransport, "sql", await remote());
      const expected = await filesBelow(join(wire.folder, "data"));
      await using far = await UnreliableProxy.start(cluster.port);
      const { knowsZstd } = (await remote()).server;
      far.slow(knowsZstd ? 6 << 20 : 12 << 20);
      const connection = { url: far.through(cluster.superuserUrl) };
      const slow = await one.unpacked(wireTransport, "slow", { connection });
      // Where the server was built with zstd, it compresses for a slow link.
      expect(far.fromServers < 20 << 20).toBe(knowsZstd);
      for (const { folder, backup } of [disk, sql, slow]) {
        const found = await filesBelow(join(folder, "data"));
        expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
        const differing = [...expected].filter(([name, content]) => found.get(name) !== content);
        expect(differing.map(([name]) => name)).toEqual([]);
        expect(backup).toMatchObject({ timeline: 1, manifestInArchive: false, corruptPages: [] });
        const label = await readFile(join(folder, "data", "backup_label"), "utf8");
        expect(label).toContain(`START WAL LOCATION: ${formatLsn(backup.startLsn)} `);
        await pgVerifies(join(folder, "data"), backup.manifest.whole());
      }
      await one.nothingRemains();
    } finally {
      await session.end();
      await rm(tmp, { recursive: true });
      await cluster.query("drop table fleeting");
    }
  });

  /** By the server's own program; its version of the manifest's format is the judge of ours. */
  async function pgVerifies(folder: string, manifest: Uint8Array): Promise<void> {
    if (!(await hasProgram(cluster.programs, "pg_verifybackup"))) return;
    await writeFile(join(folder, "backup_manifest"), manifest);
    if (cluster.account.foreign)
      await execa("chown", ["-R", `${cluster.account.uid}:${cluster.account.gid}`, folder]);
    const program = programPath(cluster.programs, "pg_verifybackup");
    const { all } = await execa(program, ["--no-parse-wal", "--exit-on-error", folder], {
      ...runAs(cluster.account),
      reject: false,
      all: true,
    });
    expect(all).toContain("backup successfully verified");
  }

  test("by several workers under load come in parts, each tablespace by itself", async () => {
    const place = await tablespaceFolder(cluster, "beyond");
    await cluster.query(`create tablespace beyond location '${place}'`);
    await cluster.query(
      "create table heavy tablespace beyond as select i, repeat(md5(i::text), 60) t from generate_series(1, 20000) i",
    );
    let going = true;
    const load = (async () => {
      for (let n = 0; going; n = (n + 331) % 20_000) {
        await cluster.query(`update heavy set t = repeat(md5(random()::text), 60) where i = ${n}`);
        await cluster.query(`create table passing_${n} as select 1; drop table passing_${n}`);
      }
    })();
    const archives: string[] = [];
    try {
      const { backup } = await one.unpacked(parallelTransport, "loaded");
      await one.take(parallelTransport, async ({ tablespace, part, content }) => {
        archives.push(`${tablespace?.location ?? "base"} ${part}`);
        for await (const _ of content);
      });
      expect(backup.corruptPages).toEqual([]);
    } finally {
      going = false;
      await load;
      await cluster.query("drop table heavy");
      await cluster.query("drop tablespace beyond");
    }
    expect(new Set(archives).size).toBe(archives.length);
    expect(archives).toContain(`${place} 1`);
    expect(archives).toContain("base null");
    await one.nothingRemains();
  });

  test("by the wire say where they begin, end, and which files they hold, as the label and the manifest do", async () => {
    const { backup, folder } = await one.unpacked(wireTransport, "positions");
    const label = await readFile(join(folder, "data", "backup_label"), "utf8");
    const start = /START WAL LOCATION: ([0-9A-F/]+)/.exec(label)?.[1];
    const manifest = JSON.parse(backup.manifest.whole().toString());
    const [range] = manifest["WAL-Ranges"];
    expect(formatLsn(backup.startLsn)).toBe(start);
    expect(formatLsn(backup.startLsn)).toBe(range["Start-LSN"]);
    expect(formatLsn(backup.stopLsn)).toBe(range["End-LSN"]);
    expect(manifest.Files.length).toBeGreaterThan(900);
  });

  test("by the wire take every tablespace; pg_basebackup is refused them with a way out", async () => {
    const places = [
      await tablespaceFolder(cluster, "east"),
      await tablespaceFolder(cluster, "we st"),
    ];
    await cluster.query(`create tablespace east location '${places[0]}'`);
    await cluster.query(`create tablespace west location '${places[1]}'`);
    await cluster.query("create table far(n) tablespace east as select 1");
    await cluster.query("create table away(n) tablespace west as select 2");
    try {
      const found: TablespaceArchive["tablespace"][] = [];
      const { folder } = await one.unpacked(wireTransport, "spaces");
      await one.take(wireTransport, async ({ tablespace, content }) => {
        found.push(tablespace);
        for await (const _ of content);
      });
      expect(found.map((each) => each?.location ?? null).sort()).toEqual([...places, null].sort());
      const map = await readFile(join(folder, "data", "tablespace_map"), "utf8");
      for (const place of places) expect(map).toContain(place);
      expect((await readdir(folder)).sort()).toEqual(
        ["data", ...found.flatMap((each) => (each ? [String(each.oid)] : []))].sort(),
      );
      await expect(one.take(pgBasebackupTransport, async () => {})).rejects.toMatchObject({
        code: "TRANSPORT_UNFIT",
        remedy: expect.stringContaining("--transport wire"),
      });
    } finally {
      await cluster.query("drop table far");
      await cluster.query("drop table away");
      await cluster.query("drop tablespace east");
      await cluster.query("drop tablespace west");
    }
  });
});
