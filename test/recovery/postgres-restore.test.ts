import {
  access,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { hasProgram } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ask,
  availableMajors,
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

describe.each(await availableMajors())("a restored cluster of version %i", (major) => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let fetchCommand: string[];
  let fast: string;
  const at = {} as Record<"before" | "after", Date>;

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
    at.before = await now();
    await cluster.query("drop table dropped");
    await cluster.query("insert into kept values (1001)");
    at.after = await now();
    await archived();
  }, 60_000);

  afterAll(() => cluster.stop());

  /** The server's clock, with a pause on either side that no commit falls into. */
  async function now(): Promise<Date> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [row] = await cluster.query<{ now: Date }>("select clock_timestamp() as now");
    await new Promise((resolve) => setTimeout(resolve, 20));
    return row?.now as Date;
  }

  /** Until all that was written is in the repository. */
  async function archived(): Promise<void> {
    const [last] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    for (;;) {
      const [row] = await cluster.query<{ done: boolean }>(
        `select coalesce(last_archived_wal >= '${last?.name}', false) as done from pg_stat_archiver`,
      );
      if (row?.done) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const mapping = (name: string) => new Map([[fast, join(cluster.directory, name)]]);
  const into = (name: string) => ({
    to: join(cluster.directory, name),
    tablespaceMapping: mapping(`${name}-fast`),
    fetchCommand,
  });

  test("starts by itself, recovers to the last commit and opens, on a timeline of its own", async () => {
    const report = await restoreBeside(cluster, store, into("latest"));
    expect(report).toMatchObject({ path: join(cluster.directory, "latest"), recoveredTo: null });
    expect(Date.parse(report.willRecoverTo.time ?? "")).toBeLessThanOrEqual(at.after.getTime());
    const server = await startAsItIs(cluster, report.path);
    try {
      await server.accepting("postgres");
      await promoted(server);
      expect(await ask(server, "select count(*)::int as n from kept", "app")).toEqual([
        { n: 1001 },
      ]);
      const [row] = await ask(
        server,
        "select timeline_id as timeline from pg_control_checkpoint()",
        "app",
      );
      expect(row).toEqual({ timeline: 2 });
    } finally {
      await server.stop();
    }
  }, 30_000);

  test("recovers to the instant before a table was dropped, started by pg_ctl", async () => {
    const target = { kind: "time", at: at.before, exclusive: false } as const;
    const { path } = await restoreBeside(cluster, store, { ...into("before"), target });
    const options = `-c listen_addresses='' -c unix_socket_directories='${path}'`;
    const log = join(path, "server.log");
    const started = await runProgram(cluster, "pg_ctl", [
      "-D",
      path,
      "-o",
      options,
      "-l",
      log,
      "start",
    ]);
    expect(started.failed, started.all).toBe(false);
    const client = new pg.Client({ host: path, port: 5432, user: "postgres", database: "app" });
    try {
      await client.connect();
      const { rows } = await client.query("select * from dropped");
      expect(rows).toEqual([{ n: 1 }]);
    } finally {
      await client.end();
      const stopped = await runProgram(cluster, "pg_ctl", ["-D", path, "-m", "fast", "stop"]);
      expect(stopped.failed, stopped.all).toBe(false);
    }
  }, 30_000);

  test("is what the server's own programs call a good backup", async () => {
    if (!(await hasProgram(cluster.programs, "pg_verifybackup"))) return;
    const { path } = await restoreBeside(cluster, store, {
      ...into("verified"),
      target: { kind: "immediate" },
      // A tablespace elsewhere changes tablespace_map, which is under the manifest's checksum.
      tablespaceMapping: new Map(),
      force: false,
    }).catch(async (cause: unknown) => {
      expect(cause).toMatchObject({ code: "TABLESPACE_NOT_EMPTY" });
      return restoreBeside(cluster, store, { ...into("verified"), target: { kind: "immediate" } });
    });
    const verified = await runProgram(cluster, "pg_verifybackup", ["-i", "tablespace_map", path]);
    expect(verified.failed, verified.all).toBe(false);
    expect(verified.all).toContain("backup successfully verified");
  });

  test("belongs to the server's account and is closed to all others", async () => {
    const { path } = await restoreBeside(cluster, store, into("owned"));
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
    expect(await readdir(path)).not.toContain("postmaster.pid");
  });

  test("has the WAL that makes it consistent with it, marked as archived", async () => {
    const { path } = await restoreBeside(cluster, store, into("wal"));
    const segments = (await readdir(join(path, "pg_wal"))).filter((name) => name.length === 24);
    expect(segments.length).toBeGreaterThan(0);
    const status = await readdir(join(path, "pg_wal", "archive_status"));
    expect(status).toEqual(segments.map((name) => `${name}.done`));
  });

  test("tells that it would archive where the original does", async () => {
    const { findings } = await restoreBeside(cluster, store, into("archives"));
    expect(findings).toContainEqual(expect.objectContaining({ id: "copy-archives" }));
  });

  test("has its tablespaces where the mapping says, and the server keeps to that", async () => {
    const { path } = await restoreBeside(cluster, store, into("mapped"));
    const server = await startAsItIs(cluster, path);
    try {
      await server.accepting("postgres");
      const [row] = await ask(
        server,
        "select pg_tablespace_location(oid) as place from pg_tablespace where spcname = 'fast'",
        "app",
      );
      expect(row).toEqual({ place: join(cluster.directory, "mapped-fast") });
      expect(await readdir(join(cluster.directory, "mapped-fast"))).not.toContain(
        ".lifeboat-restore",
      );
    } finally {
      await server.stop();
    }
  }, 30_000);

  test("never takes a tablespace's place where something lies", async () => {
    const to = join(cluster.directory, "clash");
    await expect(restoreBeside(cluster, store, { to })).rejects.toMatchObject({
      code: "TABLESPACE_NOT_EMPTY",
      kind: "refused",
      remedy: expect.stringContaining(`--tablespace-mapping ${fast}=NEW`),
    });
    await expect(access(to)).rejects.toThrow("ENOENT");
  });

  test.each([
    [
      "a mapping of a tablespace that is none",
      new Map([["/nowhere", "/elsewhere"]]),
      "TABLESPACE_UNKNOWN",
    ],
    ["a mapping to a relative path", "relative", "TABLESPACE_MAPPING_INVALID"],
    ["a mapping into the copy itself", "inside", "TABLESPACE_MAPPING_INVALID"],
  ])("%s is wrong usage", async (_, how, code) => {
    const to = join(cluster.directory, "misused");
    const place = how === "inside" ? join(to, "base") : "relative/path";
    const tablespaceMapping = how instanceof Map ? how : new Map([[fast, place]]);
    await expect(restoreBeside(cluster, store, { to, tablespaceMapping })).rejects.toMatchObject({
      code,
      kind: "usage",
    });
  });

  test("takes the place of an empty directory, and of no other", async () => {
    const to = join(cluster.directory, "filled");
    await mkdir(to);
    await writeFile(join(to, "precious"), "x");
    const order = { ...into("filled"), to };
    await expect(restoreBeside(cluster, store, order)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
    });
    await expect(restoreBeside(cluster, store, { ...order, force: true })).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
    });
    expect(await readdir(to)).toEqual(["precious"]);
    await rm(join(to, "precious"));
    expect((await restoreBeside(cluster, store, order)).path).toBe(to);
  });

  test("with force replaces a data directory with its tablespaces, but none that a server runs on", async () => {
    const first = await restoreBeside(cluster, store, into("again"));
    await writeFile(join(first.path, "from-before"), "x");
    const server = await startAsItIs(cluster, first.path);
    await server.accepting("postgres");
    await expect(
      restoreBeside(cluster, store, { ...into("again"), force: true }),
    ).rejects.toMatchObject({ code: "TARGET_IN_USE", kind: "refused" });
    await server.stop();
    const second = await restoreBeside(cluster, store, { ...into("again"), force: true });
    expect(await readdir(second.path)).not.toContain("from-before");
    const left = (await readdir(cluster.directory)).filter((name) => name.startsWith(".again"));
    expect(left).toEqual([]);
  }, 30_000);

  test("of an object that is damaged, nothing is left, in no place", async () => {
    const [id] = await readdir(store.file(join(store.folder.path, "backups")));
    const tablespace = (await readdir(store.file(join(store.folder.backupPath(id ?? ""))))).find(
      (name) => /^\d+\.tar\.zst$/.test(name),
    );
    const file = store.file(join(store.folder.backupPath(id ?? ""), tablespace ?? ""));
    const whole = await readFile(file);
    await truncate(file, whole.length - 1);
    try {
      await expect(restoreBeside(cluster, store, into("damaged"))).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        message: expect.stringContaining(tablespace ?? ""),
      });
    } finally {
      await writeFile(file, whole);
    }
    const left = (await readdir(cluster.directory)).filter((name) => name.includes("damaged"));
    expect(left).toEqual([]);
  });

  test("that is stopped half-way leaves nothing", async () => {
    const stopping = new AbortController();
    let pieces = 0;
    const order = { ...into("stopped"), signal: stopping.signal };
    const run: NonNullable<typeof order & { run?: unknown }>["run"] = async (
      steps: readonly { run(report: () => void): Promise<void> }[],
    ) => {
      for (const step of steps)
        await step.run(() => {
          if (++pieces === 5) stopping.abort(new Error("stopped by the test"));
        });
    };
    await expect(restoreBeside(cluster, store, { ...order, run } as never)).rejects.toThrow(
      "stopped by the test",
    );
    const left = (await readdir(cluster.directory)).filter((name) => name.includes("stopped"));
    expect(left).toEqual([]);
  });

  test("through a link puts nothing where the link leads", async () => {
    const to = join(cluster.directory, "link");
    const victim = join(cluster.directory, "victim");
    await mkdir(victim);
    await writeFile(join(victim, "precious"), "x");
    await symlink(victim, to);
    await expect(restoreBeside(cluster, store, { ...into("link"), to })).rejects.toMatchObject({
      kind: "refused",
    });
    expect(await readdir(victim)).toEqual(["precious"]);
  });

  async function promoted(server: Awaited<ReturnType<typeof startAsItIs>>): Promise<void> {
    for (;;) {
      const [row] = await ask<{ busy: boolean }>(
        server,
        "select pg_is_in_recovery() as busy",
        "app",
      );
      if (!row?.busy) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
});
