import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DatabaseFolder, Repository } from "@lifeboat/core";
import { readSystemIdentifier } from "../files/system-identifier.ts";
import { checkedSegment } from "../wal/archived-segment.ts";
import { IDENTITY_BYTES, segmentIdentity } from "../wal/segment-identity.ts";
import { logName, parseWalFileName, segmentName, segmentNumber } from "../wal/segment-name.ts";
import { roomFor, WalSpool } from "./wal-spool.ts";

export interface PrefetchWal {
  readonly repository: Repository;
  /** What the server has just been given. */
  readonly after: string;
  /** Absolute, in the `pg_wal` of the data directory that recovers. */
  readonly spool: string;
  /** How long nothing may be taken before this ends. */
  readonly idleMs?: number;
  /** So much lies ready at most, and at least two segments. */
  readonly spoolBytes?: number;
  readonly signal: AbortSignal;
}

const SPOOL_BYTES = 256 << 20;
const MOST_SEGMENTS = 32;
const AT_ONCE = 3;
const USUAL_SEGMENT = 16 << 20;
const POLL_MS = 20;
const IDLE_MS = 30_000;

/** Whether the archive has the segment behind this one, whole. */
export async function hasNext(
  folder: DatabaseFolder,
  name: string,
  segmentBytes: number,
): Promise<boolean> {
  const next = nextSegment(name, segmentBytes);
  return next !== undefined && (await folder.statLog(logName(next))) !== undefined;
}

/**
 * Brings the segments that follow into the spool, several at once, each checked, as fast as the
 * server takes them. Ends at the archive's end, at whatever can't be read (the server asks for it itself, and is told
 * why), or when nothing is taken any more; then the spool is removed. Only one fills a spool at a time.
 */
export async function prefetchWal(request: PrefetchWal): Promise<void> {
  const spool = new WalSpool(request.spool);
  const dataDirectory = dirname(dirname(request.spool));
  const database = await readSystemIdentifier(dataDirectory);
  if (!(await spool.acquire())) return;
  try {
    await fill(request, { spool, folder: request.repository.folder("postgres", database) });
  } finally {
    await spool.remove();
  }
}

async function fill(
  request: PrefetchWal,
  { spool, folder }: { readonly spool: WalSpool; readonly folder: DatabaseFolder },
): Promise<void> {
  const { after, signal, spoolBytes = SPOOL_BYTES } = request;
  const segmentBytes = await segmentBytesOf(folder, after);
  const most = Math.max(2, Math.min(MOST_SEGMENTS, Math.floor(spoolBytes / segmentBytes)));
  await spool.clear((name) => name > after && name.startsWith(after.slice(0, 8)));
  const line = new Line(folder, spool, { after, segmentBytes });
  let taken = Date.now();
  let before = -1;
  while (!signal.aborted) {
    const ready = await spool.ready();
    if (ready.length !== before) taken = Date.now();
    before = ready.length;
    if (Date.now() - taken > (request.idleMs ?? IDLE_MS)) break;
    const wanted = most - ready.length - line.underWay;
    // Those under way will take some of it.
    const fits = (await roomFor(spool.directory, segmentBytes)) - line.underWay;
    const isOver = line.ended || fits <= 0;
    if (isOver && line.underWay === 0 && ready.length === 0) break;
    for (let room = Math.min(wanted, fits); room > 0; room--)
      if (!line.ended && line.underWay < AT_ONCE) line.bringNext();
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
  await line.settled();
}

/** The segments of a timeline one after the other, several under way. */
class Line {
  ended = false;
  underWay = 0;
  readonly #folder: DatabaseFolder;
  readonly #spool: WalSpool;
  readonly #segmentBytes: number;
  readonly #running = new Set<Promise<void>>();
  #last: string;

  constructor(
    folder: DatabaseFolder,
    spool: WalSpool,
    { after, segmentBytes }: { readonly after: string; readonly segmentBytes: number },
  ) {
    this.#folder = folder;
    this.#spool = spool;
    this.#segmentBytes = segmentBytes;
    this.#last = after;
  }

  bringNext(): void {
    const name = nextSegment(this.#last, this.#segmentBytes);
    if (name === undefined) {
      this.ended = true;
      return;
    }
    this.#last = name;
    this.underWay++;
    const bringing = this.#bring(name).finally(() => {
      this.underWay--;
      this.#running.delete(bringing);
    });
    this.#running.add(bringing);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Only what is whole: a part that is served late is shorter than what the archive has by then. */
  async #bring(name: string): Promise<void> {
    try {
      if (await this.#folder.statLog(logName(name)))
        await this.#spool.put(name, checkedSegment(this.#folder, name));
      else this.ended = true;
    } catch {
      // Whatever it is, the server asks for this one itself and is told.
      this.ended = true;
    }
  }
}

function nextSegment(name: string, segmentBytes: number): string | undefined {
  const file = parseWalFileName(name);
  if (file?.kind !== "segment") return undefined;
  const number = segmentNumber(file, segmentBytes);
  return number === undefined ? undefined : segmentName(file.timeline, number + 1n, segmentBytes);
}

/** As the segment itself says in its first page. @throws LifeboatError `WAL_INVALID` when that is no segment's size */
async function segmentBytesOf(folder: DatabaseFolder, name: string): Promise<number> {
  const file = parseWalFileName(name);
  if (file?.kind !== "segment") return USUAL_SEGMENT;
  let start = Buffer.alloc(0);
  for await (const chunk of folder.readLog(logName(name))) {
    start = Buffer.concat([start, chunk]);
    if (start.length >= IDENTITY_BYTES) break;
  }
  return segmentIdentity(start, file, folder.logPath(logName(name))).segmentBytes;
}
