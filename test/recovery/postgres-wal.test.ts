import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { drill, LifeboatError, type RecoveryTarget, status, verify } from "@lifeboat/core";
import { Server } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { RecordScanner } from "../../packages/postgres/src/wal/record-scanner.ts";
import {
  logName,
  parseWalFileName,
  segmentName,
  segmentNumber,
  type WalFile,
} from "../../packages/postgres/src/wal/segment-name.ts";
import { ask, outermostMajors, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type LedgerEntry, LedgerHistory } from "../support/postgres-ledger.ts";
import { type ClusterRepository, walCommand } from "../support/postgres-repository.ts";

const never = new AbortController().signal;
const majors = await outermostMajors();

/** One history serves all tests of a version. */
describe.each(majors)("recovery of a server of version %i from its archive", (major) => {
  let history: LedgerHistory;
  let cluster: TestCluster;
  let kept: ClusterRepository;
  let ledger: readonly LedgerEntry[];

  beforeAll(async () => {
    history = await LedgerHistory.make(major);
    ({ cluster, kept, ledger } = history);
  });
  afterAll(() => history?.stop());

  const entriesAt = (target: RecoveryTarget) => history.entriesAt(target);
  const upTo = (at: Date) => history.upTo(at);
  const windows = () => history.windows();
  const bring = (target: RecoveryTarget) =>
    restoreBeside(cluster, kept, { target, to: join(cluster.directory, "never") });

  test("the archive is whole, and one window reaches from the first backup to the last commit", async () => {
    const report = await verify({
      repository: kept.repository,
      engines: [kept.offline],
      deep: true,
      signal: never,
    });
    expect(report.problems).toEqual([]);
    const found = await windows();
    expect(found).toHaveLength(1);
    const { last } = history;
    expect(Date.parse(found[0]?.to as string)).toBeGreaterThanOrEqual(
      Math.ceil(last.micros / 1000),
    );
    expect(Date.parse(found[0]?.to as string)).toBeLessThan(Date.now());
  });

  test("any instant of the window gives exactly the commits up to it", async () => {
    const from = Date.parse((await windows())[0]?.from as string);
    const inside = ledger.filter(({ micros }) => micros / 1000 > from + 2);
    for (const share of [0, 0.35, 0.71]) {
      const { micros } = inside[Math.floor(share * (inside.length - 1))] as LedgerEntry;
      // Before, between and on a commit's own millisecond.
      const at = new Date(Math.floor((micros + (share > 0.5 ? 0 : 1000)) / 1000));
      expect(await entriesAt({ kind: "time", at, exclusive: false }), at.toISOString()).toBe(
        upTo(at),
      );
    }
  });

  test("the window's own bounds can be restored, and so can an instant after the last commit", async () => {
    const [window] = await windows();
    const from = new Date(window?.from as string);
    expect(await entriesAt({ kind: "time", at: from, exclusive: false })).toBe(upTo(from));
    const to = new Date(window?.to as string);
    expect(await entriesAt({ kind: "time", at: to, exclusive: false })).toBe(ledger.length);
    expect(await entriesAt({ kind: "time", at: history.quiet, exclusive: false })).toBe(
      ledger.length,
    );
  });

  test("latest gives everything; a backup by its id what it held; an LSN what lies before it", async () => {
    expect(await entriesAt({ kind: "latest" })).toBe(ledger.length);
    const [first] = history.backups as [string];
    const alone = await entriesAt({ kind: "backup", id: first });
    expect(alone).toBe(30);
    const { lsn } = await kept.offline
      .plan(
        kept.folder,
        (await kept.repository.backups(kept.folder)).manifests,
        { kind: "backup", id: history.backups[1] as string },
        {},
      )
      .then(({ willRecoverTo }) => willRecoverTo);
    expect(
      await entriesAt({ kind: "lsn", lsn: lsn as string, exclusive: false }),
    ).toBeGreaterThanOrEqual(90);
  });

  test("a plan says from which backup and up to where, and takes the newest that serves", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const at = new Date(manifests[1]?.consistentAt as string);
    const plan = await kept.offline.plan(
      kept.folder,
      manifests,
      { kind: "time", at, exclusive: false },
      {},
    );
    expect(plan.backups.map(({ id }) => id)).toEqual([history.backups[1]]);
    expect(plan.timeline).toBe(1);
    const late = await kept.offline.plan(kept.folder, manifests, { kind: "latest" }, {});
    expect(late.backups[0].id).toBe(history.backups[2]);
    const { last } = history;
    expect(Date.parse(late.willRecoverTo.time as string)).toBeGreaterThanOrEqual(
      last.micros / 1000,
    );
  });

  test("a position past the archive and an instant past it are refused with what can be had", async () => {
    await expect(bring({ kind: "lsn", lsn: "F/0", exclusive: false })).rejects.toMatchObject({
      code: "TARGET_OUTSIDE_WINDOWS",
      kind: "not-found",
    });
    const at = new Date(Date.now() + 60_000);
    await expect(bring({ kind: "time", at, exclusive: false })).rejects.toMatchObject({
      kind: "not-found",
    });
    // What was committed up to an instant behind the window may lie in a segment that is missing there.
    const names = (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name.slice(9));
    const whole = names.filter((name) => /^[0-9A-F]{24}$/.test(name));
    const last = parseWalFileName(whole.at(-1) as string) as Extract<WalFile, { high: number }>;
    const number = segmentNumber(last, 1 << 20) as bigint;
    const stray = logName(segmentName(1, number + 2n, 1 << 20));
    const behind = new Date(Date.parse((await windows())[0]?.to as string) + 1);
    await kept.folder.storeLog(stray, async function* () {
      yield Buffer.alloc(40);
    });
    try {
      await expect(bring({ kind: "time", at: behind, exclusive: false })).rejects.toMatchObject({
        code: "TARGET_OUTSIDE_WINDOWS",
      });
    } finally {
      await kept.folder.removeLog(stray);
    }
  });

  test("a server that fetches its WAL by command recovers to the end, and never short when the repository is gone or a segment damaged", async () => {
    const command = [...(await walCommand(cluster)), "fetch"];
    const restored = (name: string) =>
      restoreBeside(cluster, kept, { to: join(cluster.directory, name), fetchCommand: command });
    const byCommand = await restored("by-command");
    expect(await runUntilRecovered(cluster, byCommand.path)).toBe(ledger.length);

    const damaged = await restored("damaged");
    const last = await lastSegment(kept);
    const bytes = Buffer.alloc(200, 0x5a);
    const whole = kept.file(last);
    await rename(whole, `${whole}.kept`);
    await writeFile(whole, bytes);
    expect(await runUntilRecovered(cluster, damaged.path)).toBe("stopped");
    await rename(`${whole}.kept`, whole);

    await rename(kept.path, `${kept.path}.unmounted`);
    const gone = join(cluster.directory, "by-command");
    expect(await fetchStatus(command, gone, "000000010000000000000001")).toBe(126);
    await rename(`${kept.path}.unmounted`, kept.path);
  });

  test("fetch says that a segment is missing only at the archive's end, and for a hole something else", async () => {
    const command = [...(await walCommand(cluster)), "fetch"];
    const status = (name: string) => fetchStatus(command, cluster.dataDirectory, name);
    const names = await segments(kept);
    expect(await status(names.at(-1) as string)).toBe(0);
    expect(await status("0000000100000FFF00000000")).toBe(1);
    expect(await status("00000002.history")).toBe(1);
    expect(await status("nonsense")).toBe(126);
    const middle = names[Math.floor(names.length / 2)] as string;
    const object = kept.file(kept.folder.logPath(`${middle.slice(0, 8)}/${middle}`));
    await rename(object, `${object}.kept`);
    expect(await status(middle)).toBe(126);
    await rename(`${object}.kept`, object);
    expect(
      (await readdir(cluster.dataDirectory)).filter((name) => name.includes("lifeboat")),
    ).toEqual([]);
  });

  test("a window ends no earlier than its last commit where the segments behind that tell of a checkpoint alone", async () => {
    const [row] = await cluster.query<{ micros: number }>(
      "select (extract(epoch from clock_timestamp()) * 1000000)::float8 as micros",
    );
    await cluster.query("create table behind_it(n int)");
    await history.archived();
    await cluster.query("checkpoint");
    await history.archived();
    const [window] = await windows();
    expect(Date.parse(window?.to as string) * 1000).toBeGreaterThan(row?.micros as number);
  });

  test("a hole ends the window before it; latest is refused with the segment and with what can be had", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const details = manifests[2]?.details as { stopLsn: string };
    const names = await segments(kept);
    const [{ name }] = (await cluster.query<{ name: string }>(
      `select pg_walfile_name('${details.stopLsn}'::pg_lsn + 1048576) as name`,
    )) as [{ name: string }];
    expect(names).toContain(name);
    const path = kept.folder.logPath(`${name.slice(0, 8)}/${name}`);
    await rename(kept.file(path), `${kept.file(path)}.kept`);
    try {
      const found = await windows();
      expect(found).toHaveLength(1);
      const end = found[0]?.to as string;
      expect(upTo(new Date(end))).toBeLessThan(ledger.length);
      await expect(bring({ kind: "latest" })).rejects.toMatchObject({
        code: "WAL_GAP",
        kind: "failed",
        message: expect.stringContaining(name),
        remedy: expect.stringContaining(`--at ${end}`),
      });
      // What was committed up to then may lie in the hole, though WAL was stored later.
      const after = new Date(Date.parse(end) + 1);
      await expect(bring({ kind: "time", at: after, exclusive: false })).rejects.toMatchObject({
        code: "TARGET_OUTSIDE_WINDOWS",
      });
      const report = await verify({
        repository: kept.repository,
        engines: [kept.offline],
        deep: false,
        signal: never,
      });
      expect(report.problems).toMatchObject([{ object: path, code: "WAL_GAP" }]);
      // Of several pushers one may still be at it.
      expect(await alerts(await firstBehind(name))).not.toContain("archive-hole");
      expect(await alerts(Date.now() + 120_000)).toContain("archive-hole");
      expect(await entriesAt({ kind: "time", at: new Date(end), exclusive: false })).toBe(
        upTo(new Date(end)),
      );
    } finally {
      await rename(`${kept.file(path)}.kept`, kept.file(path));
    }
    expect(await alerts(Date.now() + 120_000)).not.toContain("archive-hole");
  });

  /** When the first of the segments after this one was stored. */
  async function firstBehind(name: string): Promise<number> {
    const behind = (await segments(kept)).filter((each) => each > name);
    const paths = behind.map((each) =>
      kept.file(kept.folder.logPath(`${name.slice(0, 8)}/${each}`)),
    );
    return Math.min(...(await Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs))));
  }

  /** The ids of what `status` warns of at an instant. */
  async function alerts(now: number): Promise<string[]> {
    vi.useFakeTimers({ toFake: ["Date"], now });
    try {
      const engines = [kept.offline];
      const found = await status({ repository: kept.repository, engines, live: null });
      return found.alerts.map(({ id }) => id);
    } finally {
      vi.useRealTimers();
    }
  }

  test.each(damages(major))(
    "a segment that was %s is named by verify, by a drill, and by a restore before anything gets a name",
    async (how) => {
      const names = await segments(kept);
      const name = names.at(-2) as string;
      const object = kept.folder.logPath(`${name.slice(0, 8)}/${name}`);
      const file = kept.file(object);
      await rename(file, `${file}.kept`);
      const whole = await readFile(`${file}.kept`);
      if (how === "cut") await writeFile(file, whole.subarray(0, whole.length / 2));
      else if (how === "flipped") {
        whole[Math.floor(whole.length / 2)] = (whole[Math.floor(whole.length / 2)] as number) ^ 1;
        await writeFile(file, whole);
      } else {
        const other = names.at(-3) as string;
        await execa("cp", [kept.file(kept.folder.logPath(`${other.slice(0, 8)}/${other}`)), file]);
      }
      try {
        const report = await verify({
          repository: kept.repository,
          engines: [kept.offline],
          deep: false,
          signal: never,
        });
        expect(report.problems.map((problem) => problem.object)).toEqual([object]);
        const attempt = await entriesAt({ kind: "latest" }).catch((thrown: unknown) => thrown);
        expect(attempt).toBeInstanceOf(LifeboatError);
        expect((attempt as LifeboatError).message).toContain(name);
        const to = join(cluster.directory, "not-made");
        await expect(restoreBeside(cluster, kept, { to })).rejects.toMatchObject({
          kind: "failed",
          message: expect.stringContaining(name),
        });
        expect(await readdir(cluster.directory)).not.toContain("not-made");
        // What the damage does not concern is to be had all the same.
        const { manifests } = await kept.repository.backups(kept.folder);
        const at = new Date(manifests[1]?.consistentAt as string);
        for (const target of [
          { kind: "backup", id: history.backups[0] as string },
          { kind: "time", at, exclusive: false },
        ] as const) {
          await restoreBeside(cluster, kept, { to, target });
          await rm(to, { recursive: true });
        }
      } finally {
        await rename(`${file}.kept`, file);
      }
    },
  );

  test.runIf(major === majors[0]).each(["a page", "a record"])(
    "WAL in which %s was damaged before it was archived is never taken for the end",
    async (what) => {
      const name = (await segments(kept)).at(-3) as string;
      const own = logName(name);
      const file = kept.file(kept.folder.logPath(own));
      const whole = Buffer.concat(await Array.fromAsync(kept.folder.readLog(own)));
      const damaged = what === "a page" ? withoutPage(whole) : withDamagedRecord(whole);
      await rename(file, `${file}.kept`);
      await kept.folder.storeLog(own, async function* () {
        yield damaged;
      });
      try {
        const { repository, offline } = kept;
        const { problems } = await verify({
          ...{ repository, engines: [offline], deep: true, signal: never },
        });
        const known = what === "a page";
        expect(problems.map(({ object }) => object)).toEqual(
          known ? [kept.folder.logPath(own)] : [],
        );
        const target = { kind: "latest" } as const;
        if (known) await expect(bring(target)).rejects.toMatchObject({ code: "WAL_BROKEN" });
        const drilled = drill({
          ...{ repository, engines: [offline], target, checks: () => [], keep: false },
          signal: never,
        });
        await expect(drilled).rejects.toMatchObject({
          code: known ? "WAL_BROKEN" : "RECOVERY_SHORT",
          remedy: expect.stringMatching(/--lsn 0\//),
        });
      } finally {
        await rename(`${file}.kept`, file);
      }
    },
  );
});

function withoutPage(segment: Buffer): Buffer {
  return Buffer.from(segment).fill(0, segment.length / 2, segment.length / 2 + 8192);
}

/** Where only its checksum tells. */
function withDamagedRecord(segment: Buffer): Buffer {
  const sizes = { start: segment.readBigUInt64LE(8), segmentBytes: segment.length };
  for (let at = segment.length / 2 + 4096; ; at += 8) {
    const damaged = Buffer.from(segment);
    for (let byte = at; byte < at + 8; byte++) damaged[byte] = (damaged[byte] as number) ^ 0xff;
    const scanner = new RecordScanner(sizes);
    scanner.push(damaged);
    if (!scanner.broken) return damaged;
  }
}

/** What is done to a segment; the reading is the same for all versions, so one takes all of it. */
function damages(major: number): string[] {
  return major === majors[0] ? ["flipped", "cut", "swapped"] : ["swapped"];
}

async function segments(kept: ClusterRepository): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of kept.folder.listLog())
    if (/\/[0-9A-F]{24}$/.test(name)) names.push(name.slice(9));
  return names;
}

async function lastSegment(kept: ClusterRepository): Promise<string> {
  const name = (await segments(kept)).at(-1) as string;
  return kept.folder.logPath(`${name.slice(0, 8)}/${name}`);
}

/** Runs the command as the server would, in a data directory. */
async function fetchStatus(
  command: string[],
  cwd: string,
  name: string,
): Promise<number | undefined> {
  const [program, ...args] = command as [string, ...string[]];
  const destination = join(cwd, "RECOVERYXLOG");
  const { exitCode } = await execa(program, [...args, name, destination], { cwd, reject: false });
  await rm(destination, { force: true });
  return exitCode;
}

/** Starts a restored data directory as an engineer would, and says what it holds once it has recovered. */
async function runUntilRecovered(
  { programs, account }: TestCluster,
  dataDirectory: string,
): Promise<number | "stopped"> {
  const settings = { hot_standby: "off", archive_mode: "off", wal_keep_size: "0" };
  const server = await Server.start({ programs, account, dataDirectory, settings });
  try {
    await server.accepting("postgres");
    const [row] = await ask<{ count: number }>(server, "select count(*)::int from ledger", "app");
    return row?.count ?? -1;
  } catch (thrown) {
    if (server.running) throw thrown;
    return "stopped";
  } finally {
    await server.stop("immediate");
  }
}
