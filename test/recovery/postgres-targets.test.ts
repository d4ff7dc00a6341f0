import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  LifeboatError,
  type Manifest,
  type RecoveryPlan,
  type RecoveryTarget,
} from "@lifeboat/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { anotherWay } from "../../packages/core/src/another-way.ts";
import { type Log, readLog } from "../../packages/postgres/src/log/chains.ts";
import { livingWindow } from "../../packages/postgres/src/log/living.ts";
import { logWindows } from "../../packages/postgres/src/log/windows.ts";
import { formatLsn, lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import {
  parseWalFileName,
  segmentAt,
  segmentName,
  segmentNumber,
  segmentStart,
  type WalFile,
} from "../../packages/postgres/src/wal/segment-name.ts";
import { availableMajors } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type LedgerEntry, LedgerHistory, SAVEPOINTS_BEFORE } from "../support/postgres-ledger.ts";
import type { ClusterRepository } from "../support/postgres-repository.ts";

const majors = await availableMajors();
const SEGMENT = 1 << 20;

/** One history serves all tests of a version: rounds of 30 commits, a backup, 10, a restore point, 20. */
describe.each(majors)("recovery targets of a server of version %i", (major) => {
  let history: LedgerHistory;
  let kept: ClusterRepository;
  /** How a server reads a target is asked of every version, the rest of one. */
  const thorough = major === majors.at(-1);

  beforeAll(async () => {
    history = await LedgerHistory.make(major);
    ({ kept } = history);
  });
  afterAll(() => history?.stop());

  async function planned(target: RecoveryTarget, timeline?: number): Promise<RecoveryPlan> {
    const { manifests } = await kept.repository.backups(kept.folder);
    return kept.offline.plan(kept.folder, manifests, target, { timeline });
  }
  const entry = (n: number) => history.ledger[n - 1] as LedgerEntry;
  const xid = (n: number, exclusive = false) =>
    ({ kind: "xid", xid: entry(n).xid, exclusive }) as const;

  test("a transaction is the last that is recovered, or with exclusive the first that is not", async () => {
    expect(await history.entriesAt(xid(55))).toBe(55);
    expect(await history.entriesAt(xid(55, true))).toBe(54);
  });

  test("the id of a savepoint, which rows bear, is its transaction's", async () => {
    // The fourth behind the first restore point.
    expect(await history.entriesAt(xid(44))).toBe(44);
    const { lsn } = (await planned(xid(44))).willRecoverTo as { lsn: string };
    const outer = {
      kind: "xid",
      xid: String(Number(entry(44).xid) - SAVEPOINTS_BEFORE - 1),
      exclusive: false,
    } as const;
    expect((await planned(outer)).willRecoverTo.lsn).toBe(lsn);
    if (thorough) expect(await history.entriesAt(xid(44, true))).toBe(43);
  });

  test.runIf(thorough)(
    "the place that a plan names for a transaction gives the same, inclusive and exclusive",
    async () => {
      const { lsn } = (await planned(xid(100))).willRecoverTo as { lsn: string };
      expect(await history.entriesAt({ kind: "lsn", lsn, exclusive: false })).toBe(100);
      expect(await history.entriesAt({ kind: "lsn", lsn, exclusive: true })).toBe(99);
    },
  );

  test("the position at which the archive ends is its whole content, and one behind it lies outside", async () => {
    const [archiver] = await history.cluster.query<{ last: string }>(
      "select last_archived_wal as last from pg_stat_archiver",
    );
    const last = parseWalFileName(archiver?.last ?? "") as Extract<WalFile, { high: number }>;
    const end = segmentStart((segmentNumber(last, SEGMENT) as bigint) + 1n, SEGMENT);
    const at = (lsn: bigint, exclusive: boolean) =>
      ({ kind: "lsn", lsn: formatLsn(lsn), exclusive }) as const;
    expect((await planned(at(end, false))).willRecoverTo.lsn).toBe(formatLsn(end));
    if (thorough) {
      expect(await history.entriesAt(at(end, false))).toBe(history.ledger.length);
      expect(await history.entriesAt(at(end, true))).toBe(history.ledger.length);
    }
    await expect(planned(at(end + 1n, false))).rejects.toMatchObject({
      code: "TARGET_OUTSIDE_WINDOWS",
      message: expect.stringContaining(` to ${formatLsn(end)})`),
    });
  });

  test.runIf(thorough)(
    "the very instant of a commit, to the microsecond, gives the commits up to it, and with exclusive those before it",
    async () => {
      const { micros } = entry(48);
      const at = { at: new Date(Math.floor(micros / 1000)), micros: micros % 1000 };
      const upTo = (exclusive: boolean) => history.entriesAt({ kind: "time", ...at, exclusive });
      expect(await upTo(false)).toBe(48);
      expect(await upTo(true)).toBe(47);
      // In milliseconds that which holds it: no instant before the commit that the copy will have.
      const { time } = (await planned({ kind: "time", ...at, exclusive: false })).willRecoverTo;
      expect(Date.parse(time as string)).toBe(Math.ceil(micros / 1000));
    },
  );

  test("the last instant of all is told by its place, since no server stops at it by its time", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const log = (await readLog(kept.folder, manifests)) as Log;
    const last = (await livingWindow(log, await logWindows(log)))?.last as number;
    const kindAt = async (micros: number, exclusive: boolean) => {
      const at = { at: new Date(Math.floor(micros / 1000)), micros: micros % 1000 };
      return (await planned({ kind: "time", ...at, exclusive })).target.kind;
    };
    expect(await kindAt(last, false)).toBe("lsn");
    expect(await kindAt(last, true)).toBe("time");
    expect(await kindAt(last - 1, false)).toBe("time");
  });

  test("a named restore point is recovered to; of several with one name the newest, and the others are named", async () => {
    const [first, second, newest] = history.points as [number, number, number];
    if (thorough)
      expect(await history.entriesAt({ kind: "restore-point", name: "round 1" })).toBe(first);
    const repeated = { kind: "restore-point", name: "before the change" } as const;
    expect(await history.entriesAt(repeated)).toBe(newest);
    expect((await planned({ kind: "restore-point", name: "round 1" })).findings).toEqual([]);
    const { willRecoverTo, findings = [] } = await planned(repeated);
    const said = findings.find(({ id }) => id === "restore-point-repeated");
    expect(said?.summary).toContain(`the one at ${willRecoverTo.lsn} of 20`);
    expect(said?.summary).toMatch(/others are at 0\/\w+ of \S+Z, 0\/\w+ of \S+Z$/);
    const [, lsn] = /^another one by its place: --lsn (0\/\w+)$/.exec(said?.remedy ?? "") ?? [];
    if (!thorough) return;
    expect(await history.entriesAt({ kind: "lsn", lsn: lsn as string, exclusive: false })).toBe(
      second,
    );
  });

  test.runIf(thorough)(
    "a restore that replays says the last commit's instant and how far the WAL was replayed",
    async () => {
      const to = join(history.cluster.directory, "replayed");
      const order = { target: xid(55), to, replay: true };
      const report = await restoreBeside(history.cluster, kept, order);
      expect(Date.parse(report.recoveredTo as string)).toBe(Math.ceil(entry(55).micros / 1000));
      const { lsn } = (await planned(xid(55))).willRecoverTo as { lsn: string };
      expect(lsnOf(report.recoveredLsn as string)).toBeGreaterThan(lsnOf(lsn));
      expect(lsnOf(report.recoveredLsn as string)).toBeLessThan(lsnOf(lsn) + 200n);
      await rm(to, { recursive: true });
    },
  );

  test.runIf(thorough)("immediate is the newest backup's own state", async () => {
    expect(await history.entriesAt({ kind: "immediate" })).toBe(150);
  });

  test("the base is the newest backup before the target, and the plan says the commit's instant", async () => {
    const [first, second] = history.backups;
    expect((await planned(xid(55))).backups[0].id).toBe(first);
    const plan = await planned(xid(100));
    expect(plan.backups[0].id).toBe(second);
    const { time } = plan.willRecoverTo as { time: string };
    expect(Date.parse(time)).toBe(Math.ceil(entry(100).micros / 1000));
    expect((await planned(xid(100, true))).willRecoverTo.time).toBeNull();
  });

  test.runIf(thorough)(
    "where an object of the base is damaged the plan for the same state goes by an older one, and never by an older state",
    async () => {
      const [first, second] = history.backups;
      const { folder, offline: engine, repository } = kept;
      const without = async (target: RecoveryTarget) => {
        const plan = await planned(target);
        const object = `${folder.backupPath(plan.backups[0].id)}/base.tar.zst`;
        const [code, message, remedy] = ["OBJECT_MISSING", "it is missing", "bring it back"];
        const thrown = new LifeboatError({ code, message, remedy, details: { object } });
        const choice = { engine, folder, plan, target };
        const other = await anotherWay({ repository }, choice, { thrown, without: new Set() });
        return { plan, other: other?.plan };
      };
      const { lsn } = (await planned(xid(100))).willRecoverTo as { lsn: string };
      for (const target of [xid(100), { kind: "lsn", lsn, exclusive: false }] as const) {
        const { plan, other } = await without(target);
        expect(plan.backups[0].id).toBe(second);
        expect(other?.backups[0].id).toBe(first);
        expect(other?.willRecoverTo).toEqual(plan.willRecoverTo);
      }
      expect((await without({ kind: "latest" })).other?.backups[0].id).toBe(history.backups.at(-2));
      expect((await without({ kind: "immediate" })).other).toBeUndefined();
      expect((await without(xid(55))).other).toBeUndefined();
    },
  );

  test.runIf(thorough)(
    "what committed while a backup was taken is no target: its copy is not consistent before it has passed that",
    async () => {
      const [first] = (await kept.repository.backups(kept.folder)).manifests as [Manifest];
      const target = xid(31);
      const { lsn } = (await planned(target)).willRecoverTo as { lsn: string };
      const ended = (stopLsn: string) => ({ ...first, details: { ...first.details, stopLsn } });
      const planFrom = (manifest: Manifest) =>
        kept.offline.plan(kept.folder, [manifest], target, { timeline: 1 });
      expect((await planFrom(ended(lsn))).willRecoverTo).toMatchObject({ lsn });
      await expect(planFrom(ended(formatLsn(lsnOf(lsn) + 8n)))).rejects.toMatchObject({
        code: "TARGET_OUTSIDE_WINDOWS",
      });
      // Of one whose own WAL the archive has not all of nothing is recovered.
      const latest = { kind: "latest" } as const;
      const alone = kept.offline.plan(kept.folder, [ended("F/0")], latest, {});
      await expect(alone).rejects.toMatchObject({ code: "WAL_GAP" });
    },
  );

  test("the server's 64-bit form of a transaction id is read as the server reads it", async () => {
    const [row] = await history.cluster.query<{ xid: string }>(
      `select ((pg_current_xact_id()::text::numeric::int8 >> 32 << 32) + 4294967296 + ${entry(100).xid})::text as xid`,
    );
    const full = { kind: "xid", xid: row?.xid as string, exclusive: false } as const;
    expect((await planned(full)).willRecoverTo).toEqual((await planned(xid(100))).willRecoverTo);
  });

  test("what lies in no window is refused with the windows' bounds and the names there are, and nothing is written", async () => {
    const to = join(history.cluster.directory, "never");
    const from = (await history.windows())[0]?.from as string;
    // Before the first backup's end, never used, and of another timeline.
    const targets: [RecoveryTarget, number | undefined][] = [
      [xid(3), undefined],
      [{ kind: "xid", xid: "4000000000", exclusive: false }, undefined],
      [{ kind: "restore-point", name: "before the chnage" }, undefined],
    ];
    for (const [target, timeline] of targets)
      await expect(
        restoreBeside(history.cluster, kept, { target, to, timeline }),
      ).rejects.toMatchObject({
        code: "TARGET_OUTSIDE_WINDOWS",
        kind: "not-found",
        message: expect.stringMatching(/\(it reaches from 0\/\w+ to 0\/\w+\)$/),
        remedy: expect.stringContaining(from),
      });
    await expect(planned({ kind: "restore-point", name: "?" })).rejects.toMatchObject({
      remedy: expect.stringContaining("before the change, round 1, round 2, round 3"),
    });
    await expect(planned(xid(100), 2)).rejects.toMatchObject({ kind: "not-found" });
    await expect(planned({ kind: "immediate" }, 2)).rejects.toMatchObject({ kind: "not-found" });
    for (const id of ["0", "2", "18446744073709551616"])
      await expect(planned({ kind: "xid", xid: id, exclusive: false })).rejects.toMatchObject({
        code: "XID_INVALID",
        kind: "usage",
      });
    const backup = { kind: "backup", id: history.backups[0] as string } as const;
    await expect(planned(backup, 2)).rejects.toMatchObject({ kind: "usage" });
    expect((await planned(backup, 1)).backups[0].id).toBe(backup.id);
    expect(await readdir(history.cluster.directory)).not.toContain("never");
  });

  test("a segment that cannot be read and may hold the target is named, and hides no target behind or before it", async () => {
    const logs = await Array.fromAsync(kept.folder.listLog());
    const names = logs.map(({ name }) => name).filter((name) => /\/[0-9A-F]{24}$/.test(name));
    const damaging = async (name: string, during: () => Promise<void>) => {
      const file = kept.file(kept.folder.logPath(name));
      await rename(file, `${file}.kept`);
      await writeFile(file, "damaged");
      await during().finally(() => rename(`${file}.kept`, file));
    };
    await damaging(names.at(-2) as string, async () => {
      await expect(planned({ kind: "restore-point", name: "nowhere" })).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        message: expect.stringContaining(names.at(-2) as string),
      });
      expect((await planned(xid(55))).backups[0].id).toBe(history.backups[0]);
    });
    // Also where the last record of the target's own segment ends in the damaged one.
    const { lsn } = (await planned(xid(55))).willRecoverTo as { lsn: string };
    const behind = segmentName(1, segmentAt(lsnOf(lsn), SEGMENT) + 1n, SEGMENT);
    await damaging(`00000001/${behind}`, async () => {
      expect((await planned(xid(55))).willRecoverTo).toMatchObject({ lsn });
    });
  });
});
