import { once } from "node:events";
import { mkdirSync } from "node:fs";
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  awaitStreaming,
  bringUpStandby,
  dropSlot,
  listSlots,
  type MadeStandby,
  makeStandby,
  postgresEngine,
  programPath,
  removeStandby,
  runAs,
  startStandby,
} from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { showRemovedStandby } from "../../packages/cli/src/show/removed-standby.ts";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { localDirectory } from "../../packages/postgres/src/facts/local-directory.ts";
import { describeServer } from "../../packages/postgres/src/facts/server-facts.ts";
import {
  assertKeepsEnough,
  removedMeanwhile,
} from "../../packages/postgres/src/standby/standby-slot.ts";
import { lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { archiveInto, repositoryBeside, walCommand } from "../support/postgres-repository.ts";
import { rottenTable } from "../support/rotten-table.ts";

const signal = new AbortController().signal;

let primary: TestCluster;
let standby: MadeStandby | undefined;
let socket: string;

beforeEach(async () => {
  primary = await startCluster({
    settings: { archive_mode: "on" },
    initdb: ["--wal-segsize=1", "--data-checksums"],
  });
  socket = await tablespaceFolder(primary, "socket");
  // Read by the standby alone: the primary's command line says otherwise.
  await primary.query("alter system set port = 5499");
  await primary.query("alter system set listen_addresses = ''");
  await primary.query(`alter system set unix_socket_directories = '${socket}'`);
  await primary.query("alter system set shared_buffers = '16MB'");
  await primary.query("create table ledger as select generate_series(1, 1000) n");
});
afterEach(async () => {
  if (standby) await stopStandby(standby.path);
  standby = undefined;
  await primary?.stop();
});

const connection = () => ({ url: primary.superuserUrl });
const place = () => join(primary.directory, "standby");

async function made(more: Partial<Parameters<typeof makeStandby>[0]> = {}): Promise<MadeStandby> {
  const request = {
    connection: connection(),
    to: place(),
    maxRate: null,
    tablespaceMapping: new Map<string, string>(),
    fetchCommand: [],
    report: () => {},
    signal,
  };
  standby = await makeStandby({ ...request, ...more });
  return standby;
}

interface Start {
  readonly patienceMs?: number;
  whenItRuns?(): Promise<void>;
  onNote?(note: string): void;
}

async function start(
  it: MadeStandby,
  { patienceMs = PATIENCE.timeout, whenItRuns, onNote }: Start = {},
): Promise<string[]> {
  const notes: string[] = [];
  const report = ({ note }: { note?: string }) => {
    if (note === undefined) return;
    notes.push(note);
    onNote?.(note);
  };
  const request = { connection: connection(), standby: it, report, signal, patienceMs };
  await startStandby(request);
  await whenItRuns?.();
  await awaitStreaming(request);
  return notes;
}

async function stopStandby(path: string): Promise<void> {
  const { programs, account } = primary;
  const words = ["stop", "-m", "immediate", "-w", "-D", path];
  await execa(programPath(programs, "pg_ctl"), words, { ...runAs(account), reject: false });
}

async function onStandby<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ host: socket, port: 5499, user: "postgres", database: "app" });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

const slots = async () =>
  (await listSlots(connection())).map(({ name, verdict }) => [name, verdict]);

test("a standby is made from the primary, started, streams what is written, and is removed with its slot", async () => {
  const space = await tablespaceFolder(primary, "space");
  await primary.query(`create tablespace space location '${space}'`);
  await primary.query("create table elsewhere tablespace space as select 7 as n");
  const mapped = join(primary.directory, "space-of-standby");
  const it = await made({ tablespaceMapping: new Map([[space, mapped]]) });
  expect(it).toMatchObject({ path: place(), slot: "lifeboat_standby_standby" });
  expect(await slots()).toEqual([["lifeboat_standby_standby", "inactive"]]);
  const conf = await readFile(join(it.path, "postgresql.auto.conf"), "utf8");
  const { password } = new URL(primary.superuserUrl);
  expect(conf).not.toContain(password);
  const passfile = join(primary.directory, ".standby.lifeboat-pgpass");
  expect(await readFile(passfile, "utf8")).toContain(password);
  expect((await stat(passfile)).mode & 0o777).toBe(0o600);

  // What is committed while its replay is paused is seen to be missing, until that goes on.
  let goesOn: Promise<unknown> | undefined;
  const notes = await start(it, {
    whenItRuns: async () => {
      await expect.poll(() => onStandby("select pg_wal_replay_pause()")).toHaveLength(1);
      await primary.query("insert into ledger values (2000)");
      const streams = "select from pg_stat_replication where state = 'streaming'";
      await expect.poll(() => primary.query(streams)).toHaveLength(1);
      const stands = { connection: connection(), standby: it, report: () => {}, signal };
      await expect(awaitStreaming({ ...stands, patienceMs: 300 })).rejects.toMatchObject({
        code: "STANDBY_NOT_STREAMING",
        message: expect.stringContaining("behind, and comes no nearer"),
      });
    },
    onNote(note) {
      if (note.startsWith("streaming")) goesOn ??= onStandby("select pg_wal_replay_resume()");
    },
  });
  await goesOn;
  expect(notes).toContainEqual(
    expect.stringMatching(/^streaming: \d+ bytes(, \d+\.\d s)? behind$/),
  );
  expect(await slots()).toEqual([["lifeboat_standby_standby", "active"]]);
  // Neither is it taken for another one that should stream, nor for the receiver of an archive.
  const other = { ...it, name: "another" };
  const waiting = { connection: connection(), standby: other, report: () => {}, signal };
  await expect(awaitStreaming({ ...waiting, patienceMs: 300 })).rejects.toMatchObject({
    code: "STANDBY_NOT_STREAMING",
    message: expect.stringContaining("is not among the primary's pg_stat_replication"),
  });
  // One that it feeds itself is awaited by what it has replayed.
  const url = `postgres://postgres@${encodeURIComponent(socket)}:5499/app`;
  const fed = { ...waiting, connection: { url }, patienceMs: 0 };
  await expect(awaitStreaming(fed)).rejects.toMatchObject({ code: "STANDBY_NOT_STREAMING" });
  // Nor is its directory on this host the primary's, should that be called so on another.
  const facts = await withClient(connection(), describeServer);
  expect(await localDirectory(facts)).toBe(primary.dataDirectory);
  expect(await localDirectory({ ...facts, dataDirectory: it.path })).toBeUndefined();
  const received = { connection: connection(), archive: { mode: "receive" } } as const;
  expect(await postgresEngine(received).status(null, null)).toMatchObject({
    archive: { ok: false },
    alerts: [{ id: "receiver-stopped" }, { id: "archive-command-empty" }],
  });
  await primary.query("insert into ledger values (2001)");
  await expect
    .poll(async () => (await onStandby<{ max: number }>("select max(n) from ledger"))[0]?.max)
    .toBe(2001);
  expect(await onStandby("select n from elsewhere")).toEqual([{ n: 7 }]);
  expect((await readdir(mapped)).some((name) => name.startsWith("PG_"))).toBe(true);

  const link = join(primary.directory, "link-to-standby");
  await symlink(it.path, link);
  for (const path of [it.path, link])
    await expect(removeStandby(connection(), path)).rejects.toMatchObject({
      code: "STANDBY_RUNNING",
      kind: "refused",
    });
  await stopStandby(it.path);
  await expect.poll(async () => (await slots())[0]?.[1]).toBe("inactive");
  // One of another cluster is not removed, nor is a slot dropped on a server that is not its primary.
  const control = join(it.path, "global", "pg_control");
  const own = await readFile(control);
  await writeFile(control, Buffer.concat([Buffer.alloc(8, 7), own.subarray(8)]));
  await expect(removeStandby(connection(), it.path)).rejects.toMatchObject({
    code: "NOT_A_STANDBY",
    kind: "refused",
    remedy: expect.stringContaining("its own primary"),
  });
  expect(await slots()).toEqual([["lifeboat_standby_standby", "inactive"]]);
  await writeFile(control, own);
  // As pg_upgrade leaves the tablespaces of the server that it has made beside this one.
  const upgraded = "PG_99_202611271";
  await mkdir(join(mapped, upgraded));
  // As a crash leaves it, with a number that another process was given since.
  await writeFile(join(it.path, "postmaster.pid"), `${process.pid}\n`);
  expect(await removeStandby(connection(), link)).toMatchObject({ slotLeft: null, slot: it.slot });
  expect(await slots()).toEqual([]);
  const left = await readdir(primary.directory);
  expect(left.filter((name) => /^standby$|pgpass/.test(name))).toEqual([]);
  expect(await readdir(mapped)).toEqual([upgraded]);
  standby = undefined;
});

test("made from the newest backup it catches up by archive and slot", async () => {
  const kept = await repositoryBeside(primary);
  await archiveInto(primary);
  await primary.query("alter system set archive_mode = on");
  await kept.take();
  await primary.query("insert into ledger values (3001)");
  await primary.query("select pg_switch_wal()");
  const { manifests } = await kept.repository.backups(kept.folder);
  const fetchCommand = [...(await walCommand(primary)), "fetch"];
  const repository = { folder: kept.folder, backups: manifests };
  // Not even its password finds a place: nothing stays that would come up as a database of its own, nor a slot.
  const passfile = join(primary.directory, ".standby.lifeboat-pgpass");
  await mkdir(passfile);
  await expect(made({ repository, fetchCommand })).rejects.toMatchObject({
    code: expect.stringMatching(/^TARGET_/),
  });
  expect((await readdir(primary.directory)).filter((name) => /standby/.test(name))).toEqual([
    ".standby.lifeboat-pgpass",
  ]);
  expect(await slots()).toEqual([]);
  await rmdir(passfile);
  // The primary is not needed meanwhile: it may be started again.
  let gone: Promise<unknown[]> | undefined;
  const idle =
    "select pg_terminate_backend(pid) as ended from pg_stat_activity where application_name = 'lifeboat' and state = 'idle'";
  const report = () => {
    gone ??= primary.query(idle);
  };
  const it = await made({ repository, fetchCommand, report });
  expect(await gone).toEqual([{ ended: true }]);
  // What is said of a copy that opens by itself is not true of it.
  expect(it.findings.map(({ id }) => id)).not.toContain("copy-archives");
  expect(await readdir(it.path)).toContain("standby.signal");
  expect(await readdir(it.path)).not.toContain("recovery.signal");
  await primary.query("insert into ledger values (3002)");
  // An archive that is away does not take the standby with it.
  await rename(kept.path, `${kept.path}-away`);
  await start(it);
  await rename(`${kept.path}-away`, kept.path);
  expect(await onStandby("select max(n), pg_is_in_recovery() as standby from ledger")).toEqual([
    { max: 3002, standby: true },
  ]);
  await stopStandby(it.path);
  // A tablespace that was made since it would make again where the primary has it, and write into its files.
  const late = await tablespaceFolder(primary, "late");
  await primary.query(`create tablespace late location '${late}'`);
  const tablespaceMapping = new Map([[late, join(primary.directory, "late-of-another")]]);
  const another = { repository, to: join(primary.directory, "another"), tablespaceMapping };
  await expect(made(another)).rejects.toMatchObject({
    ...{ code: "TABLESPACE_IN_USE", kind: "refused", details: { path: late } },
  });
  expect((await slots()).map(([name]) => name)).toEqual(["lifeboat_standby_standby"]);
});

/** A standby without a slot, and a primary that has no more of the WAL that it needs. */
async function leftBehind(archiveCommand: string, fetchCommand: string[]): Promise<MadeStandby> {
  await primary.query("alter system set wal_keep_size = '1GB'");
  await primary.query(`alter system set archive_command = '${archiveCommand}'`);
  await primary.query("alter system set wal_retrieve_retry_interval = '100ms'");
  await primary.query("select pg_reload_conf()");
  const it = await made({ slot: null, fetchCommand });
  expect(await slots()).toEqual([]);
  const removed = () =>
    withClient(connection(), async (client) =>
      removedMeanwhile(client, await describeServer(client), lsnOf(it.startLsn)),
    );
  expect(await removed()).toEqual([]);
  await primary.query("alter system set wal_keep_size = 0");
  await primary.query("select pg_reload_conf()");
  for (let round = 0; round < 6; round++) {
    await primary.query(
      "select pg_logical_emit_message(false, 'ballast', repeat('x', 900000)), pg_switch_wal()",
    );
    await primary.query("checkpoint");
  }
  await expect
    .poll(async () => {
      await primary.query("checkpoint");
      const [row] = await primary.query<{ first: string }>(
        "select min(name) as first from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'",
      );
      const [needed] = await primary.query<{ name: string }>(
        `select pg_walfile_name('${it.startLsn}') as name`,
      );
      return (row?.first ?? "") > (needed?.name ?? "");
    })
    .toBe(true);
  expect(await removed()).toMatchObject([{ id: "standby-wal-removed" }]);
  return it;
}

const lost = {
  code: "STANDBY_LOST_WAL",
  message: expect.stringMatching(/needs WAL segment [0-9A-F]{24}, which the primary has removed/),
};

test("one that needs WAL which the primary has removed is said to be lost, although it answers", async () => {
  // At once, and not when it has been waited for long enough.
  const it = await leftBehind("true", []);
  await expect(start(it, { patienceMs: 3_600_000 })).rejects.toMatchObject(lost);
});

test("one that an archive brings the removed WAL is not lost, but late", async () => {
  const archive = await tablespaceFolder(primary, "archive");
  // As an archive in which the segments arrive late.
  const fetch = join(primary.directory, "fetch.sh");
  await writeFile(fetch, `test -e "${archive}/open" && cp "${archive}/$1" "$2"\n`);
  const it = await leftBehind(`cp %p ${archive}/%f`, ["/bin/sh", fetch]);
  const asksInVain = async () => {
    await expect
      .poll(() => readFile(join(it.path, "standby.log"), "utf8"))
      .toContain("has already been removed");
  };
  await expect(start(it, { patienceMs: 500, whenItRuns: asksInVain })).rejects.toMatchObject(lost);
  await writeFile(join(archive, "open"), "");
  const request = { connection: connection(), standby: it, report: () => {}, signal };
  await awaitStreaming({ ...request, patienceMs: PATIENCE.timeout });
  expect(await onStandby("select max(n) from ledger")).toEqual([{ max: 1000 }]);
});

test("without a slot wal_keep_size has to suffice, and what is refused leaves nothing", async () => {
  const tooSmall = {
    code: "WAL_KEEP_TOO_SMALL",
    kind: "refused",
    remedy: expect.stringContaining("wal_keep_size ="),
  };
  await expect(made({ slot: null })).rejects.toMatchObject(tooSmall);
  // What would do for a copy that is soon made does not for one that takes hours.
  await primary.query("alter system set wal_keep_size = '1GB'");
  await primary.query("select pg_reload_conf()");
  const keeps = (maxRate: number | null) =>
    withClient(connection(), async (client) =>
      assertKeepsEnough(client, await describeServer(client), maxRate),
    );
  await expect.poll(() => keeps(null).then(() => true, String)).toBe(true);
  await expect(keeps(10)).rejects.toMatchObject(tooSmall);
  await mkdir(place());
  await writeFile(join(place(), "mine"), "x");
  await expect(made()).rejects.toMatchObject({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    remedy: "name a directory that is missing or empty",
  });
  expect(await readdir(place())).toEqual(["mine"]);
  expect(await slots()).toEqual([]);
  await rm(place(), { recursive: true });
  const others = "from generate_series(1, current_setting('max_replication_slots')::int) n";
  await primary.query(`select pg_create_physical_replication_slot('other' || n) ${others}`);
  await expect(made()).rejects.toMatchObject({
    code: "STATEMENT_FAILED",
    remedy: expect.stringContaining("max_replication_slots"),
  });
  const left = await readdir(primary.directory);
  expect(left.filter((name) => name.includes("standby"))).toEqual([]);
  await primary.query(`select pg_drop_replication_slot('other' || n) ${others}`);
  await expect(removeStandby(connection(), place())).rejects.toMatchObject({
    code: "NOT_A_STANDBY",
    kind: "refused",
  });
});

test("one that is removed beside its primary takes no tablespace of that with it", async () => {
  const it = await made();
  const shared = await tablespaceFolder(primary, "shared");
  await primary.query(`create tablespace shared location '${shared}'`);
  await primary.query("create table precious tablespace shared as select 7 as n");
  await primary.query("checkpoint");
  // As its server links it when it makes it again.
  await symlink(shared, join(it.path, "pg_tblspc", "99999"));
  // The links are its account's to set: root removes nothing of another one's for it.
  const others = join(primary.directory, "others");
  await mkdir(join(others, `PG_${primary.programs.major}_1`), { recursive: true });
  await symlink(others, join(it.path, "pg_tblspc", "99998"));
  const files = () => readdir(shared, { recursive: true });
  const were = await files();
  // Nor is a slot called dropped that somebody has dropped, or that another server has.
  await dropSlot(connection(), it.slot ?? "");
  const left = { slot: null, slotLeft: it.slot };
  const removed = await removeStandby(connection(), it.path);
  expect(removed).toMatchObject({ kept: [shared], ...left });
  expect(showRemovedStandby(removed, { leaveSlot: false })).not.toContain("dropped ");
  expect(await files()).toEqual(were);
  if (primary.account.foreign) expect(await readdir(others)).toHaveLength(1);
});

test("one whose primary is gone is removed when that is said, without its tablespaces, and its slot stays named", async () => {
  const space = await tablespaceFolder(primary, "space");
  await primary.query(`create tablespace space location '${space}'`);
  const mapped = join(primary.directory, "space-of-standby");
  const it = await made({ tablespaceMapping: new Map([[space, mapped]]) });
  await primary.crash();
  await expect(removeStandby(connection(), it.path)).rejects.toMatchObject({
    code: "SERVER_UNREACHABLE",
    message: expect.stringContaining(`nothing of ${it.path} was removed`),
    remedy: expect.stringContaining(`lifeboat standby --remove ${it.path} --leave-slot`),
  });
  expect(await readdir(it.path)).toContain("standby.signal");
  const left = { slot: null, slotLeft: "lifeboat_standby_standby", kept: [mapped] };
  const removed = await removeStandby(connection(), it.path, { leaveSlot: true });
  expect(removed).toEqual({ path: it.path, ...left });
  expect(showRemovedStandby(removed, { leaveSlot: true }).split("\n")).toEqual([
    expect.stringMatching(/^removed /),
    expect.stringContaining("when it is back: lifeboat slots --drop lifeboat_standby_standby"),
    expect.stringMatching(`kept +${mapped}, .* unless the primary has its own there`),
    "",
  ]);
  expect(
    (await readdir(primary.directory)).filter((name) => /^standby$|pgpass/.test(name)),
  ).toEqual([]);
  expect(await readdir(mapped)).not.toEqual([]);
  await primary.startAgain();
  const { alerts } = await postgresEngine({ connection: connection() }).status(null, null);
  expect(alerts).toContainEqual(
    expect.objectContaining({
      id: "slot-inactive",
      remedy: expect.stringContaining("lifeboat slots --drop lifeboat_standby_standby"),
    }),
  );
  standby = undefined;
});

test("a port that it cannot have is refused before anything is copied, a free one is its own", async () => {
  const port = Number(new URL(primary.superuserUrl).port);
  await expect(made({ port })).rejects.toMatchObject({ code: "PORT_TAKEN", kind: "refused" });
  expect(await slots()).toEqual([]);
  expect((await readdir(primary.directory)).filter((name) => name.includes("standby"))).toEqual([]);
  const it = await made({ port: 5498 });
  expect(it).toMatchObject({ port: 5498, findings: [{ id: "standby-beside-primary" }] });
  await start(it);
  expect(await readdir(socket)).toContain(".s.PGSQL.5498");
});

test("one that is stopped half-way leaves neither slot nor files", async () => {
  await primary.query(
    "create table ballast as select repeat(md5(n::text), 60) from generate_series(1, 20000) n",
  );
  const stop = new AbortController();
  const attempt = made({
    maxRate: 1 << 20,
    signal: stop.signal,
    report: ({ bytes }) => void ((bytes ?? 0) > 100_000 && stop.abort(new Error("stopped"))),
  });
  await expect(attempt).rejects.toThrow("stopped");
  await nothingIsLeft();
});

test("none is made whose slot is gone by the time that its copy is", async () => {
  let drop: Promise<unknown> | undefined;
  const dropped = "select pg_drop_replication_slot(slot_name) from pg_replication_slots";
  const attempt = made({
    maxRate: 16 << 20,
    report: ({ bytes }) => {
      if (bytes) drop ??= primary.query(dropped);
    },
  });
  await expect(attempt).rejects.toMatchObject({
    code: "SLOT_LOST",
    message: expect.stringContaining("lifeboat_standby_standby was dropped"),
  });
  await drop;
  await nothingIsLeft();
});

test("none is made of a primary with a damaged page, and which it is is told", async () => {
  const path = await rottenTable(primary);
  await expect(made()).rejects.toMatchObject({
    code: "PAGE_CORRUPT",
    message: expect.stringContaining(`${path}, block 1`),
  });
  await nothingIsLeft();
});

async function nothingIsLeft(): Promise<void> {
  expect(await slots()).toEqual([]);
  expect((await readdir(primary.directory)).filter((name) => name.includes("standby"))).toEqual([]);
}

test("one whose place is taken meanwhile leaves neither slot nor password, and what lies there", async () => {
  const attempt = made({ report: ({ bytes }) => void (bytes && takePlace()) });
  const takePlace = () => mkdirSync(join(place(), "somebody's"), { recursive: true });
  await expect(attempt).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  expect(await slots()).toEqual([]);
  expect((await readdir(primary.directory)).filter((name) => name.includes("standby"))).toEqual([
    "standby",
  ]);
  expect(await readdir(place())).toEqual(["somebody's"]);
});

test("a slot that is there already is another standby's, though that is down: it is refused, and kept", async () => {
  await primary.query(
    "select pg_create_physical_replication_slot('lifeboat_standby_standby', true)",
  );
  const kept = await primary.query("select restart_lsn from pg_replication_slots");
  // Of a killed run to this place that was to be another cluster's standby.
  const note = join(primary.directory, ".standby.lifeboat-slot");
  await writeFile(note, "1234567890123456789 lifeboat_standby_standby\n");
  await expect(made()).rejects.toMatchObject({
    code: "SLOT_EXISTS",
    kind: "refused",
    remedy: expect.stringContaining("lifeboat slots --drop lifeboat_standby_standby"),
  });
  expect(await primary.query("select restart_lsn from pg_replication_slots")).toEqual(kept);
  await rm(note);
  expect((await readdir(primary.directory)).filter((name) => name.includes("standby"))).toEqual([]);
});

test("the slot of a run that was killed is taken over by the next run to the same place, and by no other", async () => {
  const run = fileURLToPath(new URL("../support/postgres-standby-run.ts", import.meta.url));
  const killed = execa(process.execPath, [run, primary.superuserUrl, place()], {
    ...{ reject: false, buffer: false },
  });
  await once(createInterface({ input: killed.stdout }), "line");
  killed.kill("SIGKILL");
  await killed;
  const slot = "lifeboat_standby_standby";
  expect(await slots()).toEqual([[slot, "inactive"]]);
  const other = join(primary.directory, "other");
  await expect(made({ to: other, slot })).rejects.toMatchObject({ code: "SLOT_EXISTS" });
  await expect(made()).resolves.toMatchObject({ slot });
  expect(await slots()).toEqual([[slot, "inactive"]]);
  const left = (await readdir(primary.directory)).filter((name) => name.includes("standby"));
  expect(left.toSorted()).toEqual([".standby.lifeboat-pgpass", "standby"]);
});

test("a wait that is stopped says that the standby and its slot stay", async () => {
  const it = await made();
  const stopped = AbortSignal.abort(new Error("stopped by SIGINT"));
  const request = { connection: connection(), standby: it, report: () => {}, signal: stopped };
  await expect(bringUpStandby(request)).rejects.toMatchObject({
    code: "STANDBY_STOPPED",
    message: expect.stringContaining(`replication slot ${it.slot}`),
    remedy: expect.stringMatching(
      new RegExp(`pg_ctl stop -D ${it.path} -m fast'?, then lifeboat standby --remove`),
    ),
  });
  expect((await listSlots(connection())).map(({ name }) => name)).toEqual([it.slot]);
});
