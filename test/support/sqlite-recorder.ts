import { readFile } from "node:fs/promises";
import type { DatabaseFolder } from "@lifeboat/core";
import type { SnapshotDetails } from "../../packages/sqlite/src/details.ts";
import { factsOf, type HeldFile } from "../../packages/sqlite/src/hold/held.ts";
import { pin } from "../../packages/sqlite/src/hold/pin.ts";
import { WalConnections } from "../../packages/sqlite/src/hold/wal-connections.ts";
import { chainStart, LogChain } from "../../packages/sqlite/src/log/chain.ts";
import { formatLogName, newLineage } from "../../packages/sqlite/src/log/name.ts";
import type { Mark, SegmentNote } from "../../packages/sqlite/src/log/note.ts";
import { type ChecksumWords, WalChecksum } from "../../packages/sqlite/src/wal/checksum.ts";
import type { LogPlace } from "../../packages/sqlite/src/wal/place.ts";
import { WalWriter } from "../../packages/sqlite/src/wal/wal-writer.ts";
import type { SqliteApp } from "./sqlite-repository.ts";
import { nextFrame } from "./wal-frame.ts";

/**
 * Ships a live database's log for tests of reading it, without what makes a shipper: nobody else may
 * reset the WAL unread. Its segments are made of the bytes that SQLite wrote.
 */
export class Recorder {
  readonly app: SqliteApp;
  readonly folder: DatabaseFolder;
  lineage = "";
  /** The names of the segments, in order. */
  readonly names: string[] = [];
  /** By which marks are made; a test may let it run ahead. */
  clock: () => number = () => Date.now();
  /** When the look began that made the mark of an instant. */
  readonly began = new Map<number, number>();
  #place: LogPlace | undefined;
  #chain = "";
  #next = 1;
  #frames: { number: number; pages: number; page: Buffer }[] = [];
  #start: LogPlace | undefined;
  #marks: Mark[] = [];
  #sum: ChecksumWords = [0, 0];

  private constructor(app: SqliteApp, folder: DatabaseFolder) {
    this.app = app;
    this.folder = folder;
  }

  /** Begins a lineage with a backup of its own. */
  static async begin(app: SqliteApp, type: "full" | "incremental" = "full"): Promise<Recorder> {
    const { folder } = await app.manifests();
    const recorder = new Recorder(app, folder);
    recorder.lineage = newLineage(new Date());
    recorder.#chain = chainStart(recorder.lineage);
    app.shipping.set(app.name, {
      lineage: recorder.lineage,
      hold: (how) => holdPinned(app.path, how),
    });
    await app.backup(undefined, type);
    const { log } = (await app.details()) as unknown as SnapshotDetails;
    if (!log) throw new Error("the backup has no place in the log");
    recorder.#place = log.place;
    recorder.#sum = [log.place.checksum1, log.place.checksum2];
    return recorder;
  }

  /** Looks at the WAL once. @returns the instant of the mark, if there was a commit */
  async poll(): Promise<number | undefined> {
    const began = this.clock();
    const wal = await readFile(`${this.app.path}-wal`);
    if (wal.length < 32 || !this.#place) return undefined;
    const pageSize = wal.readUInt32BE(8);
    const [salt1, salt2] = [wal.readUInt32BE(16), wal.readUInt32BE(20)];
    const before = this.#place;
    if (salt1 !== before.salt1 || salt2 !== before.salt2)
      this.#moveTo({ salt1, salt2, frames: 0, sum: [wal.readUInt32BE(24), wal.readUInt32BE(28)] });
    const frameBytes = 24 + pageSize;
    const found: { number: number; pages: number; page: Buffer; sum: ChecksumWords }[] = [];
    let sum = this.#sum;
    let committed = 0;
    for (
      let at = 32 + this.#place.frames * frameBytes;
      at + frameBytes <= wal.length;
      at += frameBytes
    ) {
      if (wal.readUInt32BE(at + 8) !== salt1 || wal.readUInt32BE(at + 12) !== salt2) break;
      const page = wal.subarray(at + 24, at + frameBytes);
      const next = new WalChecksum((wal.readUInt32BE(0) & 1) === 1, sum);
      next.add(wal, at, at + 8);
      next.add(wal, at + 24, at + frameBytes);
      sum = next.words;
      if (wal.readUInt32BE(at + 16) !== sum[0] || wal.readUInt32BE(at + 20) !== sum[1]) break;
      const pages = wal.readUInt32BE(at + 4);
      found.push({ number: wal.readUInt32BE(at), pages, page, sum });
      if (pages > 0) committed = found.length;
    }
    const instant = this.clock();
    if (committed === 0) return undefined;
    this.#start ??= before;
    for (const { number, pages, page } of found.slice(0, committed))
      this.#frames.push({ number, pages, page: Buffer.from(page) });
    const last = found[committed - 1] as (typeof found)[number];
    const frames = this.#place.frames + committed;
    this.#moveTo({ salt1, salt2, frames, sum: last.sum });
    this.began.set(instant, began);
    this.#marks.push([instant, this.#frames.length, last.pages]);
    return instant;
  }

  /** Polls, and stores what was read since the last segment as one. */
  async ship(): Promise<string | undefined> {
    await this.poll();
    const [first, ...rest] = this.#marks;
    if (!first || !this.#start || !this.#place) return undefined;
    const pageSize = this.#frames[0]?.page.length as number;
    const chain = new LogChain(this.#chain);
    for (const { number, page } of this.#frames) chain.add(number, page);
    const after = chain.after();
    const note: SegmentNote = {
      format: 1,
      lineage: this.lineage,
      first: this.#next,
      last: this.#next,
      pageSize,
      start: this.#start,
      end: this.#place,
      chain: { before: this.#chain, after },
      marks: [first, ...rest],
    };
    const instant = rest.at(-1)?.[0] ?? first[0];
    const span = { first: this.#next, last: this.#next, instant, kind: "frames" } as const;
    const name = formatLogName({ lineage: this.lineage, ...span });
    await this.folder.storeLog(
      name,
      () => walOf(this.#frames, pageSize),
      () => ({ ...note }),
    );
    this.names.push(name);
    this.#next += 1;
    this.#chain = after;
    this.#frames = [];
    this.#marks = [];
    this.#start = undefined;
    return name;
  }

  #moveTo(to: { salt1: number; salt2: number; frames: number; sum: ChecksumWords }): void {
    const { sum, ...place } = to;
    this.#place = { ...place, checksum1: sum[0], checksum2: sum[1] };
    this.#sum = sum;
  }
}

async function* walOf(
  frames: readonly { number: number; pages: number; page: Buffer }[],
  pageSize: number,
): AsyncGenerator<Uint8Array> {
  const writer = new WalWriter(pageSize);
  yield writer.header;
  for (const { number, pages, page } of frames)
    yield nextFrame(writer, { number, page, pagesAfter: pages });
}

/** As anybody does who does not ship: the recorder's own pin is that of the backup. */
async function holdPinned(
  path: string,
  { patienceMs, signal }: { readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<HeldFile | undefined> {
  const connections = await WalConnections.open(path, patienceMs, signal);
  const pageSize = factsOf(connections.reader).pageSize;
  return pin(connections, { pageSize, checkpointFreely: true, patienceMs, signal });
}
