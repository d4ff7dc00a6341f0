import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  hasProgram,
  postgresDetails,
  postgresEngine,
  programPath,
  runAs,
} from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { has } from "../support/outside-programs.ts";
import { PATIENCE } from "../support/patience.ts";
import { outermostMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const BACKUP_PROCESS = fileURLToPath(
  new URL("../support/postgres-backup-process.ts", import.meta.url),
);

describe.each(await outermostMajors())("a backup of a server of version %i", (major) => {
  let cluster: TestCluster;
  let kept: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster({ major, settings: { max_wal_size: "64MB" } });
    kept = await repositoryBeside(cluster);
    await cluster.query("create table load(n int primary key, filler text)");
    await cluster.query(
      "insert into load select n, repeat('x', 500) from generate_series(1, 20000) n",
    );
  });
  afterAll(() => cluster?.stop());

  const transports = async () =>
    (await hasProgram(cluster.programs, "pg_basebackup"))
      ? (["wire", "pg_basebackup"] as const)
      : (["wire"] as const);

  /** Nothing of a backup is left on the server. */
  async function serverIsFree(): Promise<void> {
    await vi.waitFor(async () => {
      expect(await cluster.query("select pid from pg_stat_replication")).toEqual([]);
      expect(await cluster.query("select slot_name from pg_replication_slots")).toEqual([]);
      expect(await cluster.query("select pid from pg_stat_progress_basebackup")).toEqual([]);
    }, PATIENCE);
  }

  /** Updates as fast as one connection can, until told to stop. */
  function underLoad(): { stop(): Promise<void> } {
    let going = true;
    const client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    const running = (async () => {
      await client.connect();
      for (let n = 0; going; n = (n + 97) % 20_000)
        await client.query(
          `update load set filler = md5(random()::text) || repeat('y', 450) where n between ${n} and ${n + 20}`,
        );
      await client.end();
    })();
    return {
      async stop() {
        going = false;
        await running;
      },
    };
  }

  test.runIf(has("zstd", "tar"))(
    "taken under load is whole by the server's own pg_verifybackup, with nothing but tar and zstd to unpack it",
    async () => {
      const load = underLoad();
      try {
        for (const transport of await transports()) {
          const { id } = await kept.take({ transport });
          const copy = join(cluster.directory, `unpacked-${transport}`);
          await unpackByHand(cluster, kept, id, copy);
          await serverIsFree();
          if (!(await hasProgram(cluster.programs, "pg_verifybackup"))) continue;
          const { stdout } = await execa(programPath(cluster.programs, "pg_verifybackup"), [copy], {
            ...runAs(cluster.account),
            all: true,
          });
          expect(stdout).toContain("backup successfully verified");
        }
      } finally {
        await load.stop();
      }
    },
  );

  test("says in its manifest what it is", async () => {
    const { id } = await kept.take({ transport: "wire", label: "before the move" });
    const manifest = (await kept.repository.backups(kept.folder)).manifests.find(
      (each) => each.id === id,
    );
    expect(manifest?.label).toBe("before the move");
    const details = postgresDetails(manifest as NonNullable<typeof manifest>);
    expect(details).toMatchObject({
      systemIdentifier: kept.folder.database,
      timeline: 1,
      transport: "wire",
      wal: "stream",
      checksums: true,
      dataDirectory: cluster.dataDirectory,
      tablespaces: [],
      settings: [],
      owner: cluster.account.name,
      database: "app",
    });
    expect(JSON.stringify(manifest)).not.toContain(new URL(cluster.superuserUrl).password);
  });

  test("that is killed in its midst leaves the server free, and the next one works", async () => {
    for (const [round, transport] of (await transports()).entries()) {
      const child = execa(
        process.execPath,
        [
          BACKUP_PROCESS,
          kept.path,
          join(cluster.directory, "own-state"),
          cluster.superuserUrl,
          transport,
          "stream",
          String(4 << 20),
        ],
        { reject: false },
      );
      // In backup mode with a slot: all that could be left behind.
      await vi.waitFor(async () => {
        const [state] = await cluster.query<{ slots: number; backups: number }>(
          `select (select count(*)::int from pg_replication_slots where temporary) as slots,
                  (select count(*)::int from pg_stat_progress_basebackup where phase like 'streaming%') as backups`,
        );
        expect(state).toEqual({ slots: 1, backups: 1 });
      }, PATIENCE);
      child.kill("SIGKILL");
      await child;
      await serverIsFree();
      expect((await kept.repository.backups(kept.folder)).problems).toEqual([]);
      expect((await kept.take({ transport })).id, `round ${round}`).toBeDefined();
    }
  });

  test("whose WAL stream is cut ends with that, and not after the whole copy", async () => {
    const before = (await kept.repository.backups(kept.folder)).manifests.length;
    for (const transport of [...(await transports()), "parallel"] as const) {
      // The copy would take a minute.
      const order = { transport, wal: "stream", maxRate: 500_000 } as const;
      const began = performance.now();
      const failure = kept.take(order).catch((cause: unknown) => cause);
      await vi.waitFor(async () => {
        const cut = await cluster.query(
          `select pg_terminate_backend(active_pid) from pg_replication_slots
           where temporary and restart_lsn is not null and exists (
             select from pg_stat_progress_basebackup where phase like 'streaming%'
             union all select from pg_stat_activity where state = 'idle' and query ~ 'backup_start|block_size')`,
        );
        expect(cut).toHaveLength(1);
      }, PATIENCE);
      expect(await failure, transport).toMatchObject({
        code: "WAL_STREAM_FAILED",
        message: expect.stringContaining("the WAL stream beside the backup failed"),
      });
      expect(performance.now() - began, transport).toBeLessThan(30_000);
      await serverIsFree();
    }
    expect((await kept.repository.backups(kept.folder)).manifests).toHaveLength(before);
  });

  test("without a free WAL sender is refused before anything is stored, with the setting and the way out", async () => {
    const before = (await kept.repository.backups(kept.folder)).manifests.length;
    await cluster.restart({ max_wal_senders: "1" });
    try {
      await expect(kept.take({ wal: "stream" })).rejects.toMatchObject({
        code: "SENDERS_EXHAUSTED",
        message: expect.stringContaining("needs 2 WAL senders, and 1 of 1 are free"),
        remedy: expect.stringContaining("max_wal_senders"),
      });
      const findings = await postgresEngine({
        connection: { url: cluster.superuserUrl },
      }).inspect();
      expect(findings.map(({ id }) => id)).toContain("wal-senders-scarce");
    } finally {
      await cluster.restart({ max_wal_senders: "10" });
    }
    expect((await kept.repository.backups(kept.folder)).manifests).toHaveLength(before);
  });

  test("of another cluster does not get into this one's folder", async () => {
    const other = kept.repository.folder("postgres", "7000000000000000000");
    const snapshot = postgresEngine({ connection: { url: cluster.superuserUrl } }).snapshot({
      folder: other,
      id: "20260101T000000.000Z-full",
      type: "full",
      parents: [],
      leftovers: [],
      options: {},
      store: () => Promise.reject(new Error("nothing may be stored")),
      report: () => {},
      signal: new AbortController().signal,
    });
    await expect(snapshot).rejects.toMatchObject({ code: "DATABASE_CHANGED", kind: "refused" });
  });
  test.each(["auto", "adaptive"] as const)(
    "with --max-rate %s says what came of it",
    async (maxRate) => {
      const { findings } = await kept.take({ maxRate });
      expect(findings).toContainEqual(
        expect.objectContaining({
          id: "rate-kept",
          summary: expect.stringContaining(`--max-rate ${maxRate}`),
        }),
      );
      await serverIsFree();
    },
  );
});

/** As RESTORE.md tells an engineer who has only `tar` and `zstd`. */
async function unpackByHand(
  cluster: TestCluster,
  { folder, file }: ClusterRepository,
  id: string,
  copy: string,
): Promise<void> {
  await mkdir(copy, { mode: 0o700 });
  const backup = file(folder.backupPath(id));
  for (const name of (await readdir(backup)).filter((each) => each.endsWith(".tar.zst")))
    await execa("sh", [
      "-c",
      `zstd -d -c "$1" | tar -x -f - -C "$2"`,
      "sh",
      join(backup, name),
      copy,
    ]);
  const wal = file(`${folder.path}/wal/00000001`);
  for (const name of await readdir(wal))
    await execa("zstd", [
      "-q",
      "-d",
      join(wal, name),
      "-o",
      join(copy, "pg_wal", name.replace(/\.zst$/, "")),
    ]);
  if (cluster.account.foreign)
    await execa("chown", ["-R", `${cluster.account.uid}:${cluster.account.gid}`, copy]);
}
