import {
  type Finding,
  LifeboatError,
  type RecoveryPlan,
  type RecoveryTarget,
} from "@lifeboat/core";
import { formatLsn } from "../wal/lsn.ts";
import type { WalMark } from "../wal/mark.ts";
import { type Chain, type Log, planOf } from "./chains.ts";
import { livingWindow } from "./living.ts";
import { type FoundMark, findMarks, type MarkSearch } from "./marks.ts";
import { boundsOf, reachOf } from "./plan-refusals.ts";
import { instantOf, type LogWindow } from "./windows.ts";

type EndMark = Extract<WalMark, { kind: "commit" | "abort" }>;
type PointMark = Extract<WalMark, { kind: "restore-point" }>;

/**
 * A plan up to the end of a transaction, or of the one that it is a savepoint of, from the newest backup before it. Of ids that came around
 * again the newest is meant. The copy is told the record's place and not its id: by the id the server
 * would stop at the first of that id, and fail when that lies in the backup itself.
 * @throws LifeboatError `XID_INVALID` (kind `usage`), `TARGET_OUTSIDE_WINDOWS` (kind `not-found`), or
 *   what is damaged where it may have been
 */
export async function planXid(
  log: Log,
  target: Extract<RecoveryTarget, { kind: "xid" }>,
  windows: readonly LogWindow[],
): Promise<RecoveryPlan> {
  const xid = transactionId(target.xid);
  const isIt = (mark: WalMark): mark is EndMark =>
    (mark.kind === "commit" || mark.kind === "abort") &&
    (mark.xid === xid || mark.subtransactions.includes(xid));
  const search = await findMarks(log, windows, isIt);
  const found = await theOne(log, search);
  if (!found) throw notFound(search, windows, `transaction ${target.xid} ends`, target);
  return planTo(found, target.exclusive);
}

/**
 * A plan up to a named restore point; of several with one name up to the newest, and the plan says so. (The server would stop at the
 * first that it meets behind the base, so at another one for each backup.)
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS` (kind `not-found`) with the names there are, or what
 *   is damaged where it may have been
 */
export async function planRestorePoint(
  log: Log,
  target: Extract<RecoveryTarget, { kind: "restore-point" }>,
  windows: readonly LogWindow[],
): Promise<RecoveryPlan> {
  const names = new Set<string>();
  const isIt = (mark: WalMark): mark is PointMark => {
    if (mark.kind === "restore-point") names.add(mark.name);
    return mark.kind === "restore-point" && mark.name === target.name;
  };
  const search = await findMarks(log, windows, isIt, { lookBack: SEGMENTS_FOR_OTHERS });
  const found = await theOne(log, search);
  if (found) return { ...planTo(found, false), findings: othersOfName(found, search) };
  const there = names.size > 0 ? { names: [...names].sort() } : {};
  throw notFound(search, windows, `restore point "${target.name}" lies`, { ...target, ...there });
}

/** Half a gigabyte of the usual ones: who marks each deployment by one name hears of the last, and nobody waits for a month of WAL to be read. */
const SEGMENTS_FOR_OTHERS = 32;

/** So many are named; who looks for an older one knows its instant. */
const SHOWN_OTHERS = 5;

function othersOfName(
  taken: FoundMark<PointMark>,
  { found }: MarkSearch<PointMark>,
): readonly Finding[] {
  const at = ({ lsn, micros }: PointMark) =>
    `${formatLsn(lsn)} of ${new Date(Math.floor(micros / 1000)).toISOString()}`;
  const others = new Map<string, { readonly window: LogWindow; readonly mark: PointMark }>();
  for (const { window, mark, older } of [taken, ...found])
    for (const each of [mark, ...older])
      if (each.lsn !== taken.mark.lsn && !others.has(at(each)))
        others.set(at(each), { window, mark: each });
  const [first] = others.values();
  if (!first) return [];
  const timeline = (window: LogWindow) =>
    window === taken.window ? "" : ` --timeline ${window.window.timeline}`;
  const shown = [...others].slice(0, SHOWN_OTHERS);
  const names = shown.map(([text, { window }]) => `${text}${timeline(window)}`);
  return [
    {
      id: "restore-point-repeated",
      severity: "warning",
      summary: `several restore points are called "${taken.mark.name}": the one at ${at(taken.mark)} was taken; others are at ${names.join(", ")}`,
      remedy: `another one by its place: --lsn ${formatLsn(first.mark.lsn)}${timeline(first.window)}`,
    },
  ];
}

/** As the server reads it: of 64 bits the lower half, which the WAL holds. */
function transactionId(text: string): number {
  const full = /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
  const xid = Number(full & 0xffff_ffffn);
  if (xid >= FIRST_NORMAL_XID && full < 1n << 64n) return xid;
  throw new LifeboatError({
    code: "XID_INVALID",
    kind: "usage",
    message: `"${text}" is no transaction id`,
    remedy: "write it as the server does (select pg_current_xact_id()): a number from 3 on",
  });
}

/** 0 to 2 stand for no transaction, initdb's and frozen ones (`access/transam.h`). */
const FIRST_NORMAL_XID = 3;

/** The same mark is found along every timeline that came after it; one of each timeline's own where that lives. */
async function theOne<Mark extends WalMark>(log: Log, { found }: MarkSearch<Mark>) {
  if (found.length < 2) return found[0];
  const living = await livingWindow(
    log,
    found.map(({ window }) => window),
  );
  return found.find(({ window }) => window === living?.window) ?? found.at(-1);
}

function planTo(
  { window, mark }: FoundMark<EndMark | PointMark>,
  exclusive: boolean,
): RecoveryPlan {
  const chain =
    window.chains.findLast(({ base }) => base.stop <= mark.lsn) ?? (window.chains[0] as Chain);
  const lsn = formatLsn(mark.lsn);
  const time = exclusive ? null : instantOf(mark.micros, chain.base.manifest.consistentAt);
  return planOf(chain, { kind: "lsn", lsn, exclusive }, { time, lsn });
}

/** What cannot be read may hold it: then nobody can say that it is not there. */
function notFound(
  { damage: [damaged] }: MarkSearch<WalMark>,
  windows: readonly LogWindow[],
  what: string,
  details: Readonly<Record<string, unknown>>,
): LifeboatError {
  if (damaged) return damaged;
  const names = (details.names ?? []) as readonly string[];
  const known = names.length > 0 ? `; restore points there are ${names.join(", ")}` : "";
  return new LifeboatError({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    message: `${what} in no recovery window${reachOf(windows)}`,
    remedy: `${boundsOf(windows)}${known}`,
    details,
  });
}
