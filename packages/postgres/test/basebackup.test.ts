import { chown, mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  availableMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../../../test/support/postgres.ts";
import { UnreliableProxy } from "../../../test/support/unreliable-proxy.ts";
import { runAs } from "../src/account.ts";
import { parallelTransport } from "../src/basebackup/parallel.ts";
import { pgBasebackupTransport } from "../src/basebackup/pg-basebackup.ts";
import type {
  BaseBackupRequest,
  TablespaceArchive,
  Transport,
} from "../src/basebackup/transport.ts";
import { wireTransport } from "../src/basebackup/wire.ts";
import { withClient } from "../src/connection.ts";
import { hasProgram, programPath } from "../src/programs.ts";
import { describeServer } from "../src/server-facts.ts";
import { formatLsn } from "../src/wal/lsn.ts";

/** What two backups of one quiet cluster differ in: where each begins and ends, and what the server counts. */
const DIFFERS = new Set(["backup_label", "backup_manifest", "global/pg_control"]);

/** A stream's buffer holds several chunks, and each is good only until the next is asked for. */
async function* kept(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield Buffer.from(chunk);
}

describe.each(await availableMajors())("base backups of a server of version %i", (major) => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster({ major, settings: { max_wal_senders: "5", autovacuum: "off" } });
    await cluster.query(
      "create table t as select i, md5(i::text) from generate_series(1, 20000) i",
    );
  });
  afterAll(() => cluster?.stop());

  async function take(
    transport: Transport,
    archive: BaseBackupRequest["archive"],
    more: Partial<BaseBackupRequest> = {},
  ) {
    const connection = { url: cluster.superuserUrl, binDirectory: cluster.programs.directory };
    return transport.takeBaseBackup({
      connection,
      server: await withClient(connection, describeServer),
      label: "it's a 'label'\nof two lines",
      maxRate: null,
      parentManifest: null,
      jobs: 2,
      archive,
      report: () => {},
      signal: new AbortController().signal,
      ...more,
    });
  }

  /** Unpacked by tar alone, as it would be on the worst day. */
  async function unpacked(
    transport: Transport,
    into: string,
    more: Partial<BaseBackupRequest> = {},
  ) {
    const folder = join(cluster.directory, into);
    await mkdir(folder);
    const unpack: BaseBackupRequest["archive"] = async ({ tablespace, content }) => {
      const place = join(folder, tablespace ? String(tablespace.oid) : "data");
      await mkdir(place, { recursive: true });
      const tar = execa("tar", ["-x", "-f", "-", "-C", place]);
      await Promise.all([pipeline(Readable.from(kept(content)), tar.stdin), tar]);
    };
    const backup = await take(transport, unpack, more);
    return { backup, folder };
  }

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

  /** The archive's member names, in order, when reading begins only after `beforehand`. */
  async function contentOf(transport: Transport, beforehand: () => Promise<unknown>) {
    let listed = "";
    await take(transport, async ({ content }) => {
      await beforehand();
      const tar = execa("tar", ["-t", "-f", "-"]);
      await Promise.all([pipeline(Readable.from(kept(content)), tar.stdin), tar]);
      listed = (await tar).stdout;
    });
    // Which WAL and which caches there are changes from one backup to the next.
    return listed.split("\n").filter((name) => !name.startsWith("pg_wal/"));
  }

  async function nothingRemains(): Promise<void> {
    await expect.poll(() => cluster.query("select pid from pg_stat_replication")).toEqual([]);
    expect(await cluster.query("select * from pg_stat_progress_basebackup")).toEqual([]);
    expect(await cluster.query("select slot_name from pg_replication_slots")).toEqual([]);
  }

  test("by pg_basebackup and by the wire hold the same files", async ({ skip }) => {
    if (!(await hasProgram(cluster.programs, "pg_basebackup")))
      skip(`the programs of version ${major} here have no pg_basebackup`);
    await cluster.query("checkpoint");
    const wire = await unpacked(wireTransport, "wire");
    const program = await unpacked(pgBasebackupTransport, "program");
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
    await nothingRemains();
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
      const wire = await unpacked(wireTransport, "one");
      const disk = await unpacked(parallelTransport, "disk");
      const sql = await unpacked(parallelTransport, "sql", await remote());
      const expected = await filesBelow(join(wire.folder, "data"));
      await using far = await UnreliableProxy.start(cluster.port);
      const { knowsZstd } = (await remote()).server;
      far.slow(knowsZstd ? 6 << 20 : 12 << 20);
      const connection = { url: far.through(cluster.superuserUrl) };
      const slow = await unpacked(wireTransport, "slow", { connection });
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
      await nothingRemains();
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
      const { backup } = await unpacked(parallelTransport, "loaded");
      await take(parallelTransport, async ({ tablespace, part, content }) => {
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
    await nothingRemains();
  });

  test("by the wire say where they begin, end, and which files they hold, as the label and the manifest do", async () => {
    const { backup, folder } = await unpacked(wireTransport, "positions");
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
      const { folder } = await unpacked(wireTransport, "spaces");
      await take(wireTransport, async ({ tablespace, content }) => {
        found.push(tablespace);
        for await (const _ of content);
      });
      expect(found.map((each) => each?.location ?? null).sort()).toEqual([...places, null].sort());
      const map = await readFile(join(folder, "data", "tablespace_map"), "utf8");
      for (const place of places) expect(map).toContain(place);
      expect((await readdir(folder)).sort()).toEqual(
        ["data", ...found.flatMap((each) => (each ? [String(each.oid)] : []))].sort(),
      );
      await expect(take(pgBasebackupTransport, async () => {})).rejects.toMatchObject({
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

  test("wait for a slow reader instead of filling memory", async () => {
    await cluster.query(
      "create table big as select repeat(md5(i::text), 200) as t from generate_series(1, 1000) i",
    );
    await cluster.query("alter table big alter t set storage external");
    await cluster.query(
      "insert into big select repeat(md5(i::text), 200) from generate_series(1, 15000) i",
    );
    const before = process.memoryUsage().arrayBuffers;
    let bytes = 0;
    let held = 0;
    await take(wireTransport, async ({ content }) => {
      for await (const chunk of content) {
        if (bytes === 0) {
          await expect
            .poll(() =>
              cluster.query(
                "select wait_event from pg_stat_activity where backend_type = 'walsender'",
              ),
            )
            .toEqual([{ wait_event: "ClientWrite" }]);
          held = process.memoryUsage().arrayBuffers - before;
        }
        bytes += chunk.length;
      }
    });
    expect(bytes).toBeGreaterThan(100 << 20);
    expect(held).toBeLessThan(32 << 20);
    await cluster.query("drop table big");
  });

  test.each([wireTransport, pgBasebackupTransport])(
    "lose no byte while a slow repository is not reading yet",
    async (transport) => {
      if (
        transport === pgBasebackupTransport &&
        !(await hasProgram(cluster.programs, "pg_basebackup"))
      )
        return;
      const early = await contentOf(transport, async () => {});
      // Long enough for the server to have sent what the pipes and sockets hold.
      const late = await contentOf(transport, () => delay(500));
      expect(late).toEqual(early);
    },
  );

  test("a reader that fails ends the backup on the server too", async () => {
    const failing = take(wireTransport, async ({ content }) => {
      for await (const _ of content) throw new Error("no space left");
    });
    await expect(failing).rejects.toMatchObject({
      message: expect.stringContaining("no space left"),
    });
    await nothingRemains();
  });

  test.each([wireTransport, pgBasebackupTransport])(
    "that are stopped leave nothing on the server",
    async (transport) => {
      if (
        transport === pgBasebackupTransport &&
        !(await hasProgram(cluster.programs, "pg_basebackup"))
      )
        return;
      const stop = new AbortController();
      const stopped = take(
        transport,
        async ({ content }) => {
          for await (const _ of content) {
            stop.abort();
            await delay(10);
          }
        },
        { signal: stop.signal },
      );
      await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
      await nothingRemains();
    },
  );

  test("a corrupt page is named with its file and block, and everything else is taken", async () => {
    await cluster.query("create table rotten as select i from generate_series(1, 5000) i");
    await cluster.query("checkpoint");
    const [row] = await cluster.query<{ path: string }>(
      "select pg_relation_filepath('rotten') as path",
    );
    const path = row?.path as string;
    const file = await open(join(cluster.dataDirectory, path), "r+");
    const page = Buffer.alloc(8192);
    await file.read(page, 0, 8192, 8192);
    page.writeUInt8((page.readUInt8(5000) ^ 0x10) & 0xff, 5000);
    await file.write(page, 0, 8192, 8192);
    try {
      for (const transport of [wireTransport, pgBasebackupTransport, parallelTransport]) {
        if (
          transport === pgBasebackupTransport &&
          !(await hasProgram(cluster.programs, "pg_basebackup"))
        )
          continue;
        const { corruptPages, manifest } = await take(transport, async ({ content }) => {
          for await (const _ of content);
        });
        expect(corruptPages).toEqual([{ path, block: 1 }]);
        expect(manifest.whole().toString()).toContain(`"${path}"`);
      }
    } finally {
      await file.close();
      await cluster.query("drop table rotten");
    }
  });

  test("keep to the rate that is asked for, and refuse one that no server takes", async () => {
    await expect(take(wireTransport, async () => {}, { maxRate: 1000 })).rejects.toMatchObject({
      code: "RATE_INVALID",
      kind: "usage",
    });
    const started = performance.now();
    let bytes = 0;
    await take(
      wireTransport,
      async ({ content }) => {
        for await (const chunk of content) bytes += chunk.length;
      },
      { maxRate: 16 << 20 },
    );
    const seconds = (performance.now() - started) / 1000;
    expect(bytes / seconds).toBeLessThan(1.2 * (16 << 20));
  });
});
