import { mkdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseFolder, RecoveryPlan } from "@lifeboat/core";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import type { PostgresDetails } from "../src/details.ts";
import { runAs } from "../src/files/account.ts";
import { RecoveryWatch } from "../src/restore/prove-recovery.ts";
import { hasProgram, programPath } from "../src/server/programs.ts";
import { proveWal } from "../src/snapshot/wal.ts";
import { formatLsn, lsnOf } from "../src/wal/lsn.ts";
import type { WalMark } from "../src/wal/mark.ts";
import { ReceiveSeam } from "../src/wal/receive-seam.ts";
import { RecordScanner } from "../src/wal/record-scanner.ts";
import { logName, segmentAt, segmentName, segmentStart } from "../src/wal/segment-name.ts";
import { busyTime, type Prepared } from "./busy-time.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;

/** Small segments, so that records cross them. */
describe.each(await availableMajors())("the WAL of a server of version %i", (major) => {
  let cluster: TestCluster;
  let first: bigint;
  let last: bigint;
  let prepared: Prepared;

  beforeAll(async () => {
    cluster = await startCluster({
      major,
      settings: {
        track_commit_timestamp: "on",
        max_prepared_transactions: "2",
        wal_keep_size: "1GB",
      },
      initdb: ["--wal-segsize=1"],
    });
    first = segmentAt(await position(), SEGMENT);
    prepared = await busyTime(cluster);
    last = segmentAt(await position(), SEGMENT) - 1n;
  });
  afterAll(() => cluster?.stop());

  async function position(): Promise<bigint> {
    const [row] = await cluster.query<{ lsn: string }>(
      "select pg_switch_wal(), pg_current_wal_lsn() as lsn",
    );
    return lsnOf(row?.lsn ?? "");
  }

  async function marksFrom(number: bigint): Promise<{ marks: WalMark[]; scanner: RecordScanner }> {
    const scanner = new RecordScanner({
      start: segmentStart(number, SEGMENT),
      segmentBytes: SEGMENT,
    });
    const marks: WalMark[] = [];
    for (let each = number; each <= last; each++) {
      const bytes = await readFile(segmentPath(each));
      // Odd pieces, as a stream brings them.
      for (let at = 0; at < bytes.length; at += 70_001)
        marks.push(...scanner.push(bytes.subarray(at, at + 70_001)));
    }
    return { marks, scanner };
  }

  function segmentPath(number: bigint): string {
    return join(cluster.dataDirectory, "pg_wal", segmentName(1, number, SEGMENT));
  }

  async function systemIdentifier(): Promise<string> {
    const sql = "select system_identifier::text as own from pg_control_system()";
    return (await cluster.query<{ own: string }>(sql))[0]?.own ?? "";
  }

  /** A segment as it is, or with a page of another time. */
  async function segmentBytes(number: bigint, damaged = false): Promise<Buffer> {
    const bytes = await readFile(segmentPath(number));
    return damaged ? bytes.fill(0, SEGMENT / 2, SEGMENT / 2 + 8192) : bytes;
  }

  async function store(folder: DatabaseFolder, number: bigint, damaged = false): Promise<void> {
    const bytes = await segmentBytes(number, damaged);
    await folder.storeLog(logName(segmentName(1, number, SEGMENT)), async function* () {
      yield bytes;
    });
  }

  test("gives each commit with the time that the server itself remembers", async () => {
    const { marks, scanner } = await marksFrom(first);
    expect(scanner.broken).toBeUndefined();
    const found = new Set(marks.flatMap((mark) => (mark.kind === "commit" ? [mark.micros] : [])));
    const known = await cluster.query<{ xid: string; micros: string }>(
      `select xid::text, (extract(epoch from stamp) * 1000000)::int8::text as micros
       from (select distinct xmin as xid, pg_xact_commit_timestamp(xmin) as stamp from t where n >= 0) as all_of_t`,
    );
    expect(known.length).toBeGreaterThan(39);
    const ids = marks.flatMap((mark) =>
      mark.kind === "commit" ? [mark.xid, ...mark.subtransactions] : [],
    );
    for (const { xid, micros } of known) {
      expect(found.has(Number(micros)), `commit of ${xid}`).toBe(true);
      expect(ids).toContain(Number(xid));
    }
    const lsns = marks.map(({ lsn }) => lsn);
    expect(lsns).toEqual(lsns.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  test("tells aborts, prepared transactions, restore points and where a tablespace was made", async () => {
    const { marks } = await marksFrom(first);
    expect(marks.filter(({ kind }) => kind === "abort").length).toBeGreaterThanOrEqual(2);
    const endOf = (xid: number | undefined) =>
      marks.find((mark) => "xid" in mark && mark.xid === xid)?.kind;
    expect(endOf(prepared.kept)).toBe("commit");
    expect(endOf(prepared["given up"])).toBe("abort");
    const [last] = marks.flatMap((mark) =>
      mark.kind === "commit" && mark.xid === prepared.kept ? [mark.subtransactions.at(-1)] : [],
    );
    expect(last).toBe((prepared.kept ?? 0) + 5001);
    expect(marks.find(({ kind }) => kind === "restore-point")).toMatchObject({
      name: "before the storm",
    });
    // That it was dropped is none.
    const made = marks.flatMap((mark) => (mark.kind === "tablespace" ? [mark.location] : []));
    expect(made).toEqual([join(cluster.directory, "aside")]);
    const now = Date.now() * 1000;
    for (const mark of marks)
      if ("micros" in mark) expect(Math.abs(now - mark.micros)).toBeLessThan(600_000_000);
  });

  test("stops a copy that would make a tablespace where one lies, also when it wants no more than to be consistent", async () => {
    const { marks } = await marksFrom(first);
    const made = marks.find(({ kind }) => kind === "tablespace")?.lsn ?? 0n;
    const replayed = async (stop: bigint) => {
      const details = {
        serverVersion: major * 10_000,
        startLsn: formatLsn(segmentStart(first, SEGMENT)),
        stopLsn: formatLsn(stop),
        walSegmentBytes: SEGMENT,
      } as PostgresDetails;
      const target = { kind: "immediate" };
      const watch = new RecoveryWatch(
        { target } as RecoveryPlan,
        details,
        segmentStart(first, SEGMENT),
      );
      for (let each = first; each <= last; each++)
        await watch.push(await readFile(segmentPath(each)));
    };
    await replayed(made + 1n);
    const theirs = join(cluster.directory, "aside", `PG_${major}_1`);
    await mkdir(theirs);
    try {
      await replayed(made);
      await expect(replayed(made + 1n)).rejects.toMatchObject({ code: "TABLESPACE_IN_USE" });
    } finally {
      await rmdir(theirs);
    }
  });

  test("a backup whose WAL has all its segments, each whole, and a page of another time in one, has no proof", async () => {
    const stored = async (damaged?: bigint, missing?: bigint, owner?: string) => {
      const folder = clusterFolder({ database: owner ?? (await systemIdentifier()) });
      for (let number = first; number < first + 4n; number++)
        if (number !== missing) await store(folder, number, number === damaged);
      return folder;
    };
    const start = segmentStart(first, SEGMENT);
    const stop = start + BigInt(4 * SEGMENT);
    const begun = (await marksFrom(first)).marks.find(
      (mark) => mark.kind === "checkpoint" && mark.redo >= start,
    );
    const redo = begun?.kind === "checkpoint" ? begun.redo : 0n;
    const needed = {
      ...{ timeline: 1, start: redo, stop, segmentBytes: SEGMENT, endIsWritten: false },
    };
    const { signal } = new AbortController();
    expect(await proveWal(await stored(), needed, signal)).toBeGreaterThan(0);
    await expect(proveWal(await stored(first + 2n), needed, signal)).rejects.toMatchObject({
      code: "WAL_GAP",
      message: expect.stringContaining("does not hold together"),
    });
    await expect(
      proveWal(await stored(undefined, first + 1n), needed, signal),
    ).rejects.toMatchObject({
      code: "WAL_GAP",
      details: { segment: segmentName(1, first + 1n, SEGMENT) },
    });
    const foreign = await stored(undefined, undefined, "7");
    await expect(proveWal(foreign, needed, signal)).rejects.toMatchObject({ code: "WAL_FOREIGN" });
    // What lies behind the backup's end is none of its.
    const early = { ...needed, stop: start + BigInt(2 * SEGMENT) + 1000n };
    expect(await proveWal(await stored(first + 2n), early, signal)).toBeGreaterThan(0);
  });

  test("that is streamed goes on where the archive ends by its first record, not by what belongs to the one before", async () => {
    let undecided = 0;
    for (let number = first; number < last; number++) {
      const folder = clusterFolder({ database: await systemIdentifier() });
      await store(folder, number);
      const position = segmentStart(number + 1n, SEGMENT);
      const seamAt = () =>
        ReceiveSeam.read(
          folder,
          {
            ...{ timeline: 1, position, shipped: { upTo: position, parts: [] } },
            archived: { before: { timeline: 1, number } },
          },
          SEGMENT,
        );
      const seam = await seamAt();
      expect(seam.isProved).toBe(false);
      for (let each = number + 1n; each <= last && !seam.isProved; each++) {
        seam.push(await segmentBytes(each));
        if (!seam.isProved) undecided++;
      }
      const other = await seamAt();
      const before = await segmentBytes(number);
      expect(() => other.push(before)).toThrow(/does not go on where the archive ends/);
    }
    // A record of 3 MB is longer than two segments.
    expect(undecided).toBeGreaterThanOrEqual(2);
  });

  test("ends a recovery that has replayed it from its backup on where it breaks, and none that only asks for a segment once more", async () => {
    const details = {
      serverVersion: major * 10_000,
      startLsn: formatLsn(segmentStart(first, SEGMENT)),
      stopLsn: formatLsn(segmentStart(first, SEGMENT) + 1000n),
    } as PostgresDetails;
    const plan = {
      target: { kind: "latest" },
      willRecoverTo: { lsn: formatLsn(segmentStart(last, SEGMENT)) },
    } as RecoveryPlan;
    const damaged = await segmentBytes(first + 2n, true);
    const again = new RecoveryWatch(plan, details, segmentStart(first + 2n, SEGMENT));
    await again.push(damaged);
    const all = new RecoveryWatch(plan, details, segmentStart(first, SEGMENT));
    for (const number of [first, first + 1n]) await all.push(await segmentBytes(number));
    await expect(all.push(damaged)).rejects.toMatchObject({ code: "WAL_BROKEN" });
  });

  test("can be entered at any segment, also in the midst of a record", async () => {
    const all = (await marksFrom(first)).marks;
    for (let number = first + 1n; number <= last; number++) {
      const { marks, scanner } = await marksFrom(number);
      expect(scanner.broken).toBeUndefined();
      const start = segmentStart(number, SEGMENT);
      expect(marks).toEqual(all.filter(({ lsn }) => lsn >= start));
    }
  });

  test("is said to be broken where a segment was taken out or a page damaged", async () => {
    const start = segmentStart(first, SEGMENT);
    const one = await readFile(segmentPath(first));
    const three = await readFile(segmentPath(first + 2n));
    const hole = new RecordScanner({ start, segmentBytes: SEGMENT });
    hole.push(one);
    hole.push(three);
    expect(hole.broken?.at).toBe(segmentStart(first + 1n, SEGMENT));
    one.fill(0x2a, 8192 * 3, 8192 * 3 + 24);
    const damaged = new RecordScanner({ start, segmentBytes: SEGMENT });
    damaged.push(one);
    expect(damaged.broken?.at).toBe(start + BigInt(8192 * 3));
  });

  test("is read as pg_waldump reads it", async ({ skip }) => {
    if (!(await hasProgram(cluster.programs, "pg_waldump")))
      skip(`the programs of version ${major} here have no pg_waldump`);
    const { stdout } = await execa(
      programPath(cluster.programs, "pg_waldump"),
      ["--rmgr=Transaction", segmentName(1, first, SEGMENT), segmentName(1, last, SEGMENT)],
      { ...runAs(cluster.account), cwd: join(cluster.dataDirectory, "pg_wal") },
    );
    const expected = stdout
      .split("\n")
      .map((line) => /lsn: ([0-9A-F/]+),.*desc: (COMMIT|ABORT)/.exec(line))
      .filter((match) => match !== null)
      .map(([, lsn, what]) => ({
        lsn: lsnOf(lsn as string),
        kind: (what as string).toLowerCase(),
      }));
    const { marks } = await marksFrom(first);
    const found = marks.filter(({ kind }) => kind === "commit" || kind === "abort");
    expect(found.map(({ lsn, kind }) => ({ lsn, kind }))).toEqual(expected);
  });
});
