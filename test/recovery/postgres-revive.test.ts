import { once } from "node:events";
import {
  access,
  appendFile,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  drill,
  type LifeboatError,
  type RecoveryPlan,
  type RestoredDatabase,
  type RevivedDatabase,
} from "@lifeboat/core";
import { Server } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { privateSettings } from "../../packages/postgres/src/files/private-settings.ts";
import { outermostMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
} from "../support/postgres-repository.ts";

const signal = new AbortController().signal;
const report = () => {};

const majors = await outermostMajors();

/** What a cluster may have set for itself, and a copy beside it must not do: most of it keeps one from ever being there. */
const ORIGINALS = {
  archive_mode: "always",
  archive_cleanup_command: "false",
  recovery_end_command: "false",
  recovery_min_apply_delay: "1h",
  recovery_target_action: "shutdown",
  primary_conninfo: "host=127.0.0.1 port=1",
  primary_slot_name: "of_its_primary",
  hot_standby: "on",
  max_wal_senders: "7",
  max_worker_processes: "7",
  max_parallel_workers: "7",
  max_logical_replication_workers: "7",
  synchronous_standby_names: "another",
  session_preload_libraries: "not_here",
  local_preload_libraries: "not_here",
  dynamic_library_path: "/not/here",
  jit_provider: "not_here",
  jit: "on",
  ssl: "on",
  ssl_passphrase_command: "false",
  zero_damaged_pages: "on",
  ignore_checksum_failure: "on",
  autovacuum: "on",
  huge_pages: "on",
  shared_buffers: "4TB",
};

describe.each(majors)("a copy of version %i brought to life in private", (major) => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let plan: RecoveryPlan;
  /** Segments archived after the backup, oldest first. */
  let segments: string[];

  beforeAll(async () => {
    cluster = await startCluster({
      major,
      settings: { archive_mode: "on" },
      initdb: ["--wal-segsize=1"],
    });
    store = await repositoryBeside(cluster);
    await archiveInto(cluster);
    await cluster.query("create table ledger(n int, filler text)");
    await cluster.query("create materialized view total as select count(*) from ledger");
    // Who proves it is the copy's superuser: nothing that others put on the path may answer in its sessions.
    await cluster.query(
      "create function public.format(text, name, name) returns text return 'planted'",
    );
    await cluster.query("alter database app set statement_timeout = '1h'");
    // What the product's own role may do, and whoever got hold of it.
    await cluster.query(`
      create role product;
      create function climb(file text) returns bool language plpgsql as $$
        begin execute format('copy (select 1) to program %L', 'touch ' || file); return true; end $$;
      create view invoices as select climb('${join(cluster.directory, "climbed")}') as paid;
      alter function climb(text) owner to product;
      alter view invoices owner to product;
      create table of_others as select 7 as n;
      alter table of_others enable row level security;
      alter table of_others force row level security;
      create extension amcheck;
      create index on ledger(n)`);
    await store.take();
    // What was written before it may still be on its way into the archive.
    const [stop] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    for (let n = 1; n <= 5; n++) {
      await cluster.query(
        `insert into ledger select ${n}, string_agg(md5(random()::text), '') from generate_series(1, 40), generate_series(1, 60) i group by i`,
      );
      await archived();
    }
    segments = (await inRepository()).filter((name) => name > `${stop?.name}.zst`);
    const { manifests } = await store.repository.backups(store.folder);
    plan = await store.offline.plan(store.folder, manifests, { kind: "latest" }, {});
  });

  afterAll(() => cluster.stop());

  const wal = () => store.file(join(store.folder.path, "wal", "00000001"));
  const inRepository = async () =>
    (await readdir(wal())).filter((name) => /^[0-9A-F]{24}\.zst$/.test(name)).toSorted();

  async function archived(): Promise<void> {
    const [last] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    while (!(await inRepository()).includes(`${last?.name}.zst`)) await delay(50);
  }

  async function copy(name: string): Promise<RestoredDatabase> {
    return store.offline.restore({
      folder: store.folder,
      plan,
      to: join(cluster.directory, name),
      tablespaceMapping: new Map(),
      tablespaceRoot: null,
      force: false,
      fetchCommand: [],
      report,
      signal,
    });
  }

  const revive = (restored: RestoredDatabase, stop = signal): Promise<RevivedDatabase> =>
    store.offline.revive({ folder: store.folder, plan, restored, report, signal: stop });

  /** What must hold of a copy that no server runs on and that was never opened. */
  async function expectUnopened({ path }: Pick<RestoredDatabase, "path">): Promise<void> {
    const entries = await readdir(path);
    expect(entries).toContain("recovery.signal");
    expect(entries).not.toContain("postmaster.pid");
    const left = (await readdir(join(path, "pg_wal"))).filter((name) =>
      name.startsWith("lifeboat-"),
    );
    expect(left).toEqual([]);
  }

  describe("that lives", () => {
    let restored: RestoredDatabase;
    let revived: RevivedDatabase;
    let archivedBefore: string[];

    beforeAll(async () => {
      archivedBefore = await inRepository();
      restored = await copy("alive");
      const own = Object.entries(ORIGINALS).map(([name, value]) => `${name} = '${value}'\n`);
      await appendFile(join(restored.path, "postgresql.auto.conf"), own.join(""));
      revived = await revive(restored);
    });

    afterAll(async () => {
      await revived.close();
      await revived.close();
      const entries = await readdir(restored.path);
      if (entries.includes("postmaster.pid")) throw new Error("a server was left running");
    });

    test("has recovered to the last commit, and says so", async () => {
      expect(await revived.query("select max(n), count(*) = 300 from ledger")).toEqual([[5, true]]);
      expect(revived.recoveredTo).toMatch(/^20\d\d-\d\d-\d\dT.*Z$/);
      expect(revived.recoveredTo).toBe(plan.willRecoverTo.time);
      expect(revived.recoveredLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    });

    test("proves every table of every database, and its pages", async () => {
      const proofs = await revived.prove();
      expect(proofs.map(({ name, ok }) => [name, ok])).toEqual([
        ["tables of app", true],
        ["tables of postgres", true],
        ["page checksums", true],
      ]);
    });

    test("takes statements that read, one at a time, and gives plain values", async () => {
      const values = await revived.query(
        "select 1::bigint, 9007199254740993, 1.50, true, null, 'x', '2026-01-01'::date, 0.5::float8",
      );
      expect(values).toEqual([[1, "9007199254740993", "1.50", true, null, "x", "2026-01-01", 0.5]]);
      await expect(revived.query("delete from ledger")).rejects.toThrow("read-only transaction");
      await expect(revived.query("select 1; select 2")).rejects.toThrow("multiple commands");
      expect(await revived.query("select current_database()", "postgres")).toEqual([["postgres"]]);
    });

    test("asks what the product can change as nobody who may do more than read, and that all", async () => {
      await expect(revived.query("select paid from invoices")).rejects.toMatchObject({
        code: "CHECK_NOT_PERMITTED",
        message: expect.stringMatching(/COPY .*program.*: a check is asked as a role/),
      });
      await expect(access(join(cluster.directory, "climbed"))).rejects.toThrow("ENOENT");
      expect(await revived.query("select n from of_others")).toEqual([[7]]);
      const checked = "select count(*) from (select bt_index_check('ledger_n_idx')) as checked";
      expect(await revived.query(checked)).toEqual([[1]]);
    });

    test("archives nothing, has no workers, cannot be reached by the network, and does nothing that its original is set to do", async () => {
      const set = async (name: string) =>
        (await revived.query(`select current_setting('${name}')`))[0]?.[0];
      expect(await set("listen_addresses")).toBe("");
      const files = { restoreCommand: "", hbaFile: "", identFile: "" };
      const own: Record<string, string> = {
        ...privateSettings({ major, ...files, preload: [] }),
        // One that is there: a role cannot be set to a list of none.
        session_preload_libraries: "plpgsql",
      };
      for (const name of Object.keys(ORIGINALS))
        expect([name, await set(name)]).toEqual([name, own[name]]);
      // Whole tables are read there, which takes longer than a statement of the product may.
      expect(await set("statement_timeout")).toBe("0");
      expect(await inRepository()).toEqual(archivedBefore);
    });
  });

  test("with a corrupt segment is not opened short: the error names the object", async () => {
    const restored = await copy("corrupt");
    const object = segments.at(2) ?? "";
    const whole = await flip(join(wal(), object));
    try {
      await expect(revive(restored)).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        message: expect.stringContaining(`${store.folder.path}/wal/00000001/${object}`),
      });
      await expectUnopened(restored);
    } finally {
      await writeFile(join(wal(), object), whole);
    }
    const revived = await revive(restored);
    expect(await revived.query("select max(n) from ledger")).toEqual([[5]]);
    await revived.close();
  });

  test("of a drill that was told to keep it stays when it does not recover, with all that its server said", async () => {
    const object = join(wal(), segments.at(2) ?? "");
    const whole = await flip(object);
    const failure = await drill({
      repository: store.repository,
      engines: [store.offline],
      target: { kind: "latest" },
      checks: () => [],
      keep: true,
      signal,
    }).catch((cause: LifeboatError) => cause);
    await writeFile(object, whole);
    const { details, remedy } = failure as LifeboatError;
    const { kept, serverLog } = details as { kept: string; serverLog: string };
    try {
      expect(failure).toMatchObject({ code: "CHECKSUM_MISMATCH" });
      expect(remedy).toContain(kept);
      expect(remedy).toContain(serverLog);
      expect(await readFile(serverLog, "utf8")).toMatch(/^FATAL: .*could not restore file/m);
      await expectUnopened({ path: join(serverLog, "../copy") });
      // Nor does the next drill take it for what a killed one left.
      expect(await readdir(kept)).toContain(".kept");
    } finally {
      await rm(kept, { recursive: true });
    }
  });

  test("with a segment missing between others is not opened short", async () => {
    const restored = await copy("hole");
    const object = join(wal(), segments.at(1) ?? "");
    await rename(object, `${object}.away`);
    try {
      await expect(revive(restored)).rejects.toMatchObject({ code: "WAL_GAP" });
      await expectUnopened(restored);
    } finally {
      await rename(`${object}.away`, object);
    }
  });

  test("when the repository goes away is not opened short", async () => {
    const restored = await copy("unreachable");
    await rename(store.path, `${store.path}-away`);
    try {
      await expect(revive(restored)).rejects.toMatchObject({
        code: expect.stringMatching(/STORAGE|REPOSITORY/),
      });
      await expectUnopened(restored);
    } finally {
      await rename(`${store.path}-away`, store.path);
    }
  });

  test("with a damaged page is not proved", async () => {
    const restored = await copy("damaged");
    const first = await revive(restored);
    const [row] = await first.query("select pg_relation_filepath('ledger')");
    await first.close();
    await flip(join(restored.path, String(row?.[0])));
    const second = await revive(restored);
    try {
      const proofs = await second.prove();
      const tables = proofs.find(({ name }) => name === "tables of app");
      expect(tables?.ok).toBe(false);
      expect(tables?.message).toMatch(/public\.ledger: invalid page in block \d+/);
      expect(proofs.find(({ name }) => name === "page checksums")?.ok).toBe(false);
    } finally {
      await second.close();
    }
  });

  test("whose maker is killed while the server waits for WAL leaves no server", async () => {
    const { path } = await copy("orphaned");
    const run = fileURLToPath(new URL("../support/postgres-revive-run.ts", import.meta.url));
    const args = [run, store.path, join(cluster.directory, "state"), path];
    const child = execa(process.execPath, args, { reject: false, buffer: false });
    await once(createInterface({ input: child.stdout }), "line");
    const pid = Number.parseInt(await readFile(join(path, "postmaster.pid"), "utf8"), 10);
    child.kill("SIGKILL");
    while (isAlive(pid)) await delay(50);
    expect(await readdir(path)).toContain("recovery.signal");
  });

  if (major !== majors[0]) return;
  // What no version does otherwise is tried on one.

  test("that was started by itself without a program to fetch by is not opened short", async () => {
    const { programs, account } = cluster;
    const { path } = await copy("alone");
    const server = await Server.start({ programs, account, dataDirectory: path });
    await server.ended;
    await server.stop();
    expect(server.log.reason()).toContain("could not restore file");
    expect(await readdir(path)).toContain("recovery.signal");
  });

  test("ends with the server's own words when it cannot recover", async () => {
    const restored = await copy("broken");
    await rm(join(restored.path, "global", "pg_control"));
    await expect(revive(restored)).rejects.toMatchObject({
      code: "RECOVERY_FAILED",
      message: expect.stringContaining("pg_control"),
      // A drill's copy is gone when this is read.
      remedy: expect.not.stringContaining(restored.path),
    });
  });

  test("starts without a library that this host lacks, and says so", async () => {
    const restored = await copy("library");
    const settings = join(restored.path, "postgresql.auto.conf");
    const text = await readFile(settings, "utf8");
    await writeFile(settings, `${text}shared_preload_libraries = 'nowhere, auto_explain'\n`);
    const revived = await revive(restored);
    try {
      expect(await revived.query("select current_setting('shared_preload_libraries')")).toEqual([
        ["auto_explain"],
      ]);
      expect(await revived.prove()).toContainEqual(
        expect.objectContaining({ name: "library nowhere" }),
      );
    } finally {
      await revived.close();
    }
  });

  test("that is given up while it recovers leaves no server", async () => {
    const restored = await copy("abandoned");
    const stopping = new AbortController();
    const reviving = store.offline.revive({
      folder: store.folder,
      plan,
      restored,
      report: () => stopping.abort(new Error("given up by the test")),
      signal: stopping.signal,
    });
    await expect(reviving).rejects.toThrow("given up by the test");
    expect(await readdir(restored.path)).not.toContain("postmaster.pid");
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Changes one byte in the middle of a file and gives back what it was. */
async function flip(path: string): Promise<Buffer> {
  const whole = await readFile(path);
  const file = await open(path, "r+");
  const at = Math.trunc(whole.length / 2);
  await file.write(Buffer.from([(whole[at] ?? 0) ^ 0xff]), 0, 1, at);
  await file.close();
  return whole;
}
