import { setTimeout as delay } from "node:timers/promises";
import {
  type DatabaseFolder,
  LifeboatError,
  OutageLog,
  type Report,
  reasonOf,
} from "@lifeboat/core";
import pg from "pg";
import {
  connectForReplication,
  hangUp,
  type ServerConnection,
  withClient,
} from "../connection/connection.ts";
import { serverFailure } from "../connection/failure.ts";
import { describeServer, type ServerFacts } from "../facts/server-facts.ts";
import { OWN_SLOT_PREFIX, readSlots } from "../slots/slots.ts";
import { guardedFolder } from "../wal/guarded-folder.ts";
import { identifySystem } from "../wal/identify-system.ts";
import { formatLsn, type Lsn } from "../wal/lsn.ts";
import { walParted } from "../wal/parted.ts";
import { assertSlotName, ensureSlot } from "../wal/receive-slot.ts";
import { type ReceiveStart, receiveStart, startOfTimeline } from "../wal/receive-start.ts";
import { receiveStream } from "../wal/receive-stream.ts";
import { storeHistory } from "../wal/timeline-file.ts";
import { subjectOf } from "./outage-subject.ts";

/** The slot of `wal receive` when none is named. */
export const RECEIVE_SLOT = `${OWN_SLOT_PREFIX}receive`;

export interface ReceiveWal {
  readonly connection: ServerConnection;
  /** The cluster's: another server that answers at its place is refused. */
  readonly folder: DatabaseFolder;
  /** Made if it is not there, and left when this ends. */
  readonly slot?: string | undefined;
  readonly synchronous?: boolean;
  /** How long the server may be silent, although it is asked, before the connection is given up; a minute when left out. */
  readonly silenceMs?: number | undefined;
  readonly report: Report;
  /** A line for the log of whoever runs it: that nothing is shipped, that it is again, and what is lost. No progress. */
  readonly log?: (line: string) => void;
  readonly signal: AbortSignal;
  /** Called with each position up to which all is durable in the repository. */
  onDurable?(position: Lsn): void;
  /** Called when WAL is missing that the server has no more: only a new backup closes that. */
  onHole?(message: string): void;
}

/** What a run received, in the repository and durable. */
export interface ReceivedWal {
  readonly slot: string;
  /** Where it began and up to where it came, as the server writes positions; null when it never streamed. */
  readonly from: string | null;
  readonly upTo: string | null;
  readonly timeline: number | null;
  /** How often WAL was missing on the way. */
  readonly holes: number;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** What no trying again mends: the wrong server, a history that parted, a slot of another kind. */
const FINAL = new Set([
  ...["WAL_FOREIGN", "LOG_OBJECT_DIFFERS", "WAL_INVALID", "WAL_PARTED", "SLOT_UNUSABLE"],
]);
const UNDEFINED_FILE = "58P01";

/** What one connection leaves to the next. */
interface Course {
  readonly outage: OutageLog;
  /** It streamed once: what fails now is passing. */
  proven: boolean;
  pauseMs: number;
  overHole: boolean;
  /** What was skipped and nothing was shipped behind yet. */
  loss: string | undefined;
  /** It keeps a position whose WAL is gone. */
  slotIsUseless: boolean;
  from: Lsn | null;
  upTo: Lsn | null;
  timeline: number | null;
  holes: number;
}

/**
 * Streams the WAL of a live server into the repository until the signal aborts: whole segments, and
 * each second what there is of the one under way. Follows the server onto new timelines, and comes
 * back by itself, more and more slowly, when server or repository are away. When it ends, what was
 * received is shipped; the slot stays.
 * @returns what came since it began, and up to where
 * @throws LifeboatError what keeps it from ever beginning; `WAL_FOREIGN`, `LOG_OBJECT_DIFFERS`, `WAL_PARTED`
 */
export async function receiveWal(request: ReceiveWal): Promise<ReceivedWal> {
  const { signal, report } = request;
  assertSlotName(request.slot ?? RECEIVE_SLOT);
  const { log = () => {} } = request;
  const course: Course = {
    outage: new OutageLog(subjectOf(request.folder), log),
    loss: undefined,
    proven: false,
    pauseMs: FIRST_PAUSE_MS,
    overHole: false,
    slotIsUseless: false,
    ...{ from: null, upTo: null, timeline: null, holes: 0 },
  };
  const guarded = { ...request, folder: guardedFolder(request.folder) };
  while (!signal.aborted) {
    try {
      await receiveOnce(guarded, course);
    } catch (thrown) {
      if (signal.aborted) break;
      if (isFinal(thrown) || !course.proven) throw thrown;
      if (isRemoved(thrown) && course.overHole) course.slotIsUseless = true;
      else if (isRemoved(thrown)) skipHole(request, course, thrown);
      const reason = reasonOf(thrown);
      const meanwhile = "the slot keeps what follows on the server, and it is tried again";
      course.outage.failing({ reason, meanwhile });
      report({ note: `${reason}; tries again in ${course.pauseMs / 1000} s` });
      await delay(course.pauseMs, undefined, { signal }).catch(() => {});
      course.pauseMs = Math.min(course.pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
  return receivedBy(course, request.slot ?? RECEIVE_SLOT);
}

function receivedBy({ from, upTo, timeline, holes }: Course, slot: string): ReceivedWal {
  const written = (position: Lsn | null) => (position === null ? null : formatLsn(position));
  return { slot, from: written(from), upTo: written(upTo), timeline, holes };
}

async function receiveOnce(request: ReceiveWal, course: Course): Promise<void> {
  const { connection, folder, signal } = request;
  const slot = request.slot ?? RECEIVE_SLOT;
  const server = await withClient(connection, async (client) => {
    const facts = await describeServer(client);
    assertOwnServer(facts, folder);
    await renewLostSlot(client, request, course);
    return facts;
  });
  const client = await connectForReplication(connection, slot);
  try {
    await streamAll(client, { request, course, server, slot });
  } catch (cause) {
    // The abort ends the stream in order, and never by a failure.
    throw signal.aborted || isRemoved(cause) ? cause : serverFailure(cause, client);
  } finally {
    hangUp(client);
  }
}

interface Streaming {
  readonly request: ReceiveWal;
  readonly course: Course;
  readonly server: ServerFacts;
  readonly slot: string;
}

/** Along one timeline after the other. */
async function streamAll(client: pg.Client, streaming: Streaming): Promise<void> {
  const { request, course, server, slot } = streaming;
  const { folder, signal, report } = request;
  const segmentBytes = server.walSegmentBytes;
  const kept = await ensureSlot(client, slot);
  const { timeline } = await identifySystem(client);
  await storeHistory(client, folder, timeline);
  const { overHole } = course;
  let start = await receiveStart({ folder, segmentBytes, timeline, kept, overHole });
  // A standby that is behind has it still to come.
  if (!server.inRecovery) await assertNotBehind(client, start);
  course.proven = true;
  for (;;) {
    report({ note: `streaming from ${formatLsn(start.position)}, timeline ${start.timeline}` });
    const before = start.shipped.upTo;
    const onDurable = (position: Lsn) => {
      course.from ??= position;
      Object.assign(course, { upTo: position, timeline: start.timeline });
      if (position > before) goesOn(course);
      report({ note: `durable up to ${formatLsn(position)}` });
      request.onDurable?.(position);
    };
    const synchronous = request.synchronous === true;
    const { silenceMs } = request;
    const about = { client, folder, segmentBytes, slot, synchronous, kept, silenceMs };
    const stream = { ...about, start, onDurable, signal };
    const next = await receiveStream(stream);
    if (signal.aborted) return;
    if (!next) throw new Error("the server ended the stream");
    await storeHistory(client, folder, next.timeline);
    start = await startOfTimeline({ folder, segmentBytes }, next.timeline, next.position);
  }
}

/** What a primary has not written cannot be archived, but by what it was before. */
async function assertNotBehind(client: pg.Client, { shipped: { upTo } }: ReceiveStart) {
  const { position } = await identifySystem(client);
  if (position < upTo)
    throw walParted(
      `the server stands at ${formatLsn(position)}, and its WAL is archived up to ${formatLsn(upTo)}`,
    );
}

function goesOn(course: Course): void {
  course.outage.working(course.loss);
  Object.assign(course, { pauseMs: FIRST_PAUSE_MS, overHole: false, loss: undefined });
}

/** A slot that the server gave up keeps nothing, and cannot be streamed through any more. */
async function renewLostSlot(client: pg.Client, request: ReceiveWal, course: Course) {
  const name = request.slot ?? RECEIVE_SLOT;
  const slot = (await readSlots(client)).find((each) => each.name === name);
  if (!slot || slot.active || !(slot.verdict === "lost" || course.slotIsUseless)) return;
  await client.query("select pg_drop_replication_slot($1)", [name]);
  if (course.slotIsUseless) {
    course.slotIsUseless = false;
    return;
  }
  course.proven = true;
  skipHole(request, course, new Error(`slot ${name} has lost its WAL (max_slot_wal_keep_size)`));
}

/** Goes on with what the server still has: behind a hole that only a new backup closes. */
function skipHole(
  { report, log, folder, onHole }: ReceiveWal,
  course: Course,
  thrown: unknown,
): void {
  course.overHole = true;
  course.holes += 1;
  const message = `WAL is missing between the archive's end and what the server still has (${reasonOf(thrown)}): take a new backup`;
  course.loss = "what the server has no more";
  report({ note: message });
  log?.(`${subjectOf(folder)}: ${message}`);
  onHole?.(message);
}

function assertOwnServer({ systemIdentifier }: ServerFacts, { database }: DatabaseFolder): void {
  if (systemIdentifier === database) return;
  throw new LifeboatError({
    code: "WAL_FOREIGN",
    kind: "refused",
    message: `the server is of the cluster ${systemIdentifier}, not of ${database}, whose WAL is received`,
    remedy: "start wal receive again, to archive the new cluster beside the old one",
    details: { found: systemIdentifier, expected: database },
  });
}

function isFinal(thrown: unknown): boolean {
  return thrown instanceof LifeboatError && FINAL.has(thrown.code);
}

function isRemoved(thrown: unknown): boolean {
  return thrown instanceof pg.DatabaseError && thrown.code === UNDEFINED_FILE;
}
