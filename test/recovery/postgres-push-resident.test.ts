import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { verify, WatchNotes, watch } from "@lifeboat/core";
import { postgresEngine, runAs } from "@lifeboat/postgres";
import { pushAhead } from "@lifeboat/postgres/archive";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { countAfter } from "../support/postgres-copies.ts";
import {
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

const RESIDENT = "pg_wal/lifeboat.push";
const SEGMENT = 1 << 20;

let cluster: TestCluster;
let kept: ClusterRepository;
let watching: { stop(): Promise<void> } | undefined;

beforeEach(async () => {
  cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
  kept = await repositoryBeside(cluster);
  await cluster.query("create table ledger(n int primary key)");
});
afterEach(async () => {
  await watching?.stop();
  watching = undefined;
  await cluster?.stop();
});

/** As `doctor` prints it; `otherwise` stands for the program that is started where no watch answers. */
async function archiveBy(otherwise: string, patience = 20): Promise<void> {
  const resident = `timeout ${patience} sh ${RESIDENT}/push %f 2>/dev/null`;
  const command = `test -p ${RESIDENT}/request && ${resident} || ${otherwise}`;
  await cluster.query(`alter system set archive_command = '${command.replaceAll("'", "''")}'`);
  await cluster.query("select pg_reload_conf()");
}

/** What the watch said of itself, for whoever reads its log. */
let log: string[] = [];

async function startWatch(maxBacklog?: number): Promise<void> {
  log = [];
  const controller = new AbortController();
  const done = watch({
    repository: kept.repository,
    engine: postgresEngine({
      connection: { url: cluster.superuserUrl },
      archive: { mode: "command", maxBacklog },
    }),
    notes: new WatchNotes(join(cluster.directory, "notes")),
    log: (line) => log.push(line),
    signal: controller.signal,
  });
  done.catch(() => {});
  watching = {
    async stop() {
      controller.abort();
      await done;
    },
  };
  await expect.poll(() => existsSync(join(cluster.dataDirectory, RESIDENT, "pid"))).toBe(true);
}

async function segments(count: number): Promise<string> {
  let last = "";
  for (let round = 0; round < count; round++) {
    await cluster.query("insert into ledger select coalesce(max(n), 0) + 1 from ledger");
    const [row] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    last = row?.name as string;
  }
  return last;
}

async function stored(segment: string): Promise<void> {
  await vi.waitFor(
    async () => expect(await kept.folder.statLog(`00000001/${segment}`)).toBeDefined(),
    PATIENCE,
  );
}

const waiting = async () =>
  (await readdir(join(cluster.dataDirectory, "pg_wal", "archive_status"))).filter((name) =>
    name.endsWith(".ready"),
  ).length;

test("a watch pushes for the archiver, without a program's start, and all of it is whole", async () => {
  await startWatch();
  const note = await new WatchNotes(join(cluster.directory, "notes")).read(kept.folder);
  const { shipping } = await kept.engine.status(kept.folder, note);
  expect(shipping).toEqual({ watch: { alive: true, at: expect.any(String) } });
  await archiveBy("exit 1");
  await kept.take();
  await stored(await segments(12));
  await expect.poll(waiting).toBe(0);
  const { problems } = await verify({
    repository: kept.repository,
    engines: [kept.offline],
    deep: true,
    signal: new AbortController().signal,
  });
  expect(problems).toEqual([]);
  expect(await countAfter(cluster, kept)).toMatchObject({ count: 12 });
  await watching?.stop();
  watching = undefined;
  expect(existsSync(join(cluster.dataDirectory, RESIDENT))).toBe(false);
});

test("a watch that is asked for one file goes on with all that wait behind it, and is not asked for each", async () => {
  await cluster.query("alter system set archive_command = 'false'");
  await cluster.query("select pg_reload_conf()");
  const last = await segments(12);
  await startWatch();
  const status = join(cluster.dataDirectory, "pg_wal", "archive_status");
  const [first] = (await readdir(status)).map((name) => name.replace(".ready", "")).sort();
  const { dataDirectory: cwd, account } = cluster;
  await execa("sh", [`${RESIDENT}/push`, first as string], { ...runAs(account), cwd });
  await stored(last);
  expect(await Array.fromAsync(kept.folder.listLog("00000001/"))).toHaveLength(12);
  expect(await waiting()).toBe(12);
});

test("without a watch, or after it was killed, the line starts the program itself", async () => {
  const push = `${(await walCommand(cluster)).join(" ")} push "%p"`;
  await archiveBy(push);
  await stored(await segments(1));
  // What a killed one leaves: pipes, and the number of a process that is gone.
  await startWatch();
  const directory = join(cluster.dataDirectory, RESIDENT);
  await rename(directory, `${directory}.kept`);
  await watching?.stop();
  watching = undefined;
  await rename(`${directory}.kept`, directory);
  await writeFile(join(directory, "pid"), "4194304\n");
  await stored(await segments(1));
  expect((await stat(join(directory, "request"))).isFIFO()).toBe(true);
  // And one that hangs: its process is there, and nobody answers.
  await archiveBy(push, 1);
  await writeFile(join(directory, "pid"), `${process.pid}\n`);
  await stored(await segments(1));
});

test("a watch leaves alone what another process has made in the place of its pipes", async () => {
  await startWatch();
  const directory = join(cluster.dataDirectory, RESIDENT);
  await writeFile(join(directory, "pid"), `${process.ppid}\n`);
  await watching?.stop();
  watching = undefined;
  expect(existsSync(join(directory, "request"))).toBe(true);
});

test("a pusher that is only getting ready is not replaced by the next one that was started meanwhile", async () => {
  const directory = join(cluster.dataDirectory, RESIDENT);
  await mkdir(directory);
  await writeFile(join(directory, "maker"), `${process.ppid}\n`);
  const { repository } = kept;
  const signal = new AbortController().signal;
  await pushAhead({ repository, dataDirectory: cluster.dataDirectory, idleMs: 0, signal });
  expect(await readdir(directory)).toEqual(["maker"]);
});

test("an archiver that lags is helped by a pusher, which status shows, and which ends by itself", async () => {
  const LAG = 20;
  await archiveBy("exit 1");
  await segments(LAG);
  const starts = join(cluster.directory, "starts");
  await writeFile(starts, "", { mode: 0o666 });
  await chmod(starts, 0o666);
  const push = `echo >> ${starts}; ${(await walCommand(cluster)).join(" ")} push-lagging "%p"`;
  await archiveBy(`{ ${push}; }`);
  const last = await segments(1);
  const shipping = async () => (await kept.engine.status(kept.folder, null)).shipping;
  await expect.poll(shipping).toEqual({ pusher: { running: true } });
  await stored(last);
  await expect.poll(waiting).toBe(0);
  const names = (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(LAG);
  expect((await readFile(starts, "utf8")).length).toBeLessThan(names.length / 2);
  await expect.poll(() => existsSync(join(cluster.dataDirectory, RESIDENT))).toBe(false);
  expect(await shipping()).toBeUndefined();
});

test("while the repository is away all waits, the log is told so, and nothing is written into its empty place", async () => {
  await startWatch();
  await archiveBy("exit 1");
  await rename(kept.path, `${kept.path}-away`);
  await mkdir(kept.path);
  const last = await segments(3);
  await expect.poll(waiting).toBeGreaterThanOrEqual(3);
  expect(await readdir(kept.path)).toEqual([]);
  await rmdir(kept.path);
  await rename(`${kept.path}-away`, kept.path);
  await stored(last);
  await expect.poll(() => log).toHaveLength(2);
  expect(log[0]).toMatch(/^WAL of \d+: nothing is shipped since .* is gone; /);
  expect(log[1]).toMatch(/^WAL of \d+: shipping again after .*; nothing is lost$/);
});

test("past archive.maxBacklog a timeline's history holds no segment up, and the new base brings it", async () => {
  await cluster.query("alter system set archive_command = 'false'");
  await kept.take();
  await cluster.server.stop();
  await writeFile(join(cluster.dataDirectory, "standby.signal"), "");
  await cluster.restart({ hot_standby: "on" });
  await cluster.query("select pg_promote()");
  await startWatch(3 * SEGMENT);
  await rename(kept.path, `${kept.path}-away`);
  await archiveBy("exit 1");
  await segments(8);
  // The archiver asks for histories before all else, and for nothing behind one that fails.
  await expect.poll(waiting).toBeLessThanOrEqual(3);
  await rename(`${kept.path}-away`, kept.path);
  const manifests = async () => (await kept.repository.backups(kept.folder)).manifests.length;
  await expect.poll(manifests).toBe(2);
  expect(await countAfter(cluster, kept)).toMatchObject({ count: 8, timeline: 2 });
});

test("past archive.maxBacklog the database goes first: WAL is given up, said so, and a new base follows", async () => {
  await startWatch(3 * SEGMENT);
  await archiveBy("exit 1");
  await kept.take();
  await rename(kept.path, `${kept.path}-away`);
  await segments(8);
  await expect.poll(waiting).toBeLessThanOrEqual(3);
  const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
  const alerts = async () => (await engine.status(kept.folder, null)).alerts.map(({ id }) => id);
  expect(await alerts()).toContain("wal-given-up");
  await rename(`${kept.path}-away`, kept.path);
  const manifests = async () => (await kept.repository.backups(kept.folder)).manifests.length;
  await expect.poll(manifests).toBe(2);
  await expect.poll(alerts).not.toContain("wal-given-up");
  await stored(await segments(2));
  expect(await countAfter(cluster, kept)).toMatchObject({ count: 10 });
  expect(log.join("\n")).toMatch(/: \w+ was given up, since more waited than archive.maxBacklog/);
  await expect.poll(() => log.join("\n")).toMatch(/shipping again .*; there is a hole: \w+ to \w+/);
  expect(log.join("\n")).not.toContain("nothing is lost");
});
