import { stat } from "node:fs/promises";
import { backup, type EngineKind, type Finding, type Status, status } from "@lifeboat/core";
import type { CutoverRequest, GateFinding } from "@lifeboat/migrate";
import { engineOf } from "./config/engine.ts";
import { examineRepository } from "./doctor/repository.ts";
import type { Session } from "./session.ts";
import { ago, size } from "./show/units.ts";

/** A backup that was not restored for longer is only believed to work when it is needed most. */
const DRILLED_WITHIN_DAYS = 7;
const DAY_MS = 86_400_000;

/** What the repository and the machine say before a product moves. */
export function cutoverGates(session: Session): NonNullable<CutoverRequest["gates"]> {
  let looked: Promise<Status> | undefined;
  const look = () => {
    looked ??= statusOfTarget(session);
    return looked;
  };
  return {
    archive: async () => archiveGate((await look()).archive),
    drill: async () => drillGate((await look()).lastDrill),
    disk: () => roomOf(session),
    backup: async () => backupGate(await findingsOf(session)),
  };
}

/** Takes the backups that precede a cutover, of the one side and of the other by the same operation. */
export function backupOf(session: Session): NonNullable<CutoverRequest["backup"]> {
  return async (kind: EngineKind, signal: AbortSignal) => {
    const configuration = await session.configuration();
    const { id } = await backup({
      repository: await session.openRepository("write"),
      engine: engineOf(kind, configuration),
      type: "full",
      options: { label: "before the cutover" },
      signal,
    });
    return id;
  };
}

async function statusOfTarget(session: Session): Promise<Status> {
  const repository = await session.openRepository("read");
  return status({ repository, engines: await session.engines(), live: "postgres" });
}

/** Whether every segment of Postgres' WAL reaches the repository: else nothing after the cutover can be restored. */
export function archiveGate(archive: Status["archive"]): GateFinding {
  const remedy =
    "lifeboat doctor --engine postgres says what is missing, with the lines for postgresql.conf";
  if (archive === null) return { ok: false, message: "Postgres' WAL is not archived", remedy };
  return {
    ok: archive.ok,
    message: archive.ok
      ? `WAL is archived up to ${archive.lastSegment ?? "now"}`
      : `the WAL archive is not well (last segment ${archive.lastSegment ?? "none"})`,
    remedy,
  };
}

/** Whether a restore was proved lately. */
export function drillGate(last: Status["lastDrill"], now: Date = new Date()): GateFinding {
  const remedy = "run lifeboat drill";
  if (last === null) return { ok: false, message: "no backup was ever drilled", remedy };
  const isRecent = now.getTime() - Date.parse(last.startedAt) <= DRILLED_WITHIN_DAYS * DAY_MS;
  return {
    ok: last.ok && isRecent,
    message: `the last drill ${last.ok ? "passed" : "FAILED"} ${ago(last.startedAt, now)}`,
    remedy: isRecent ? `${remedy}: the last one failed` : remedy,
  };
}

/**
 * Room for the backups that follow: the new base of Postgres is no larger than the rows, and WAL comes on top.
 * @param free bytes; null where the place does not say
 */
export function diskGate(place: string, free: number | null, databaseBytes: number): GateFinding {
  return {
    ok: free === null || free > 2 * databaseBytes,
    message:
      free === null
        ? `${place} does not say how much room it has`
        : `${place} has ${size(free)} left; the database has ${size(databaseBytes)}`,
    remedy: "free space there, or name a repository with more room",
  };
}

/**
 * Whether both backups that follow can be taken: else the step itself would say so, in the midst of the cutover. A broken archive
 * is a gate of its own, a lost slot in nobody's way.
 */
export function backupGate(findings: readonly Finding[]): GateFinding {
  const inTheWay = findings.filter(
    ({ id, severity }) => severity === "error" && !/^(archive|slot)-/.test(id),
  );
  return {
    ok: inTheWay.length === 0,
    message:
      inTheWay.length === 0
        ? "both databases can be backed up"
        : inTheWay.map(({ summary }) => summary).join("; "),
    remedy: inTheWay.map(({ remedy }) => remedy).join("; "),
  };
}

/** What the engines themselves refuse a backup for, and the repository, with whatever else they find. */
async function findingsOf(session: Session): Promise<Finding[]> {
  const findings = await examineRepository(session);
  for (const engine of await session.engines()) findings.push(...(await engine.inspect()));
  return findings;
}

async function roomOf(session: Session): Promise<GateFinding> {
  const { sqlite } = await session.configuration();
  const { size: bytes } = await stat(sqlite[0]?.path ?? "");
  const storage = await session.storage();
  return diskGate(storage.description, await storage.freeBytes(), bytes);
}
