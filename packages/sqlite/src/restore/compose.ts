import { writeSync, writevSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { release, WriteBack } from "@lifeboat/core";
import { PageSet } from "../compact/page-set.ts";
import { ExpectedCommits, type NamedCommits } from "../log/expected-commits.ts";
import {
  type FrameRun,
  pageAt,
  pageNumberAt,
  pagesAfter,
  storedFrames,
} from "../log/stored-frames.ts";

/** Pages to lay over a database: a stored WAL, or the start of one. */
export interface Layer extends NamedCommits {
  content(): AsyncIterable<Uint8Array>;
}

export interface Composition {
  readonly pageSize: number;
  /** How many pages the database has in the end. */
  readonly pageCount: number;
  /** The newest first. */
  readonly layers: readonly Layer[];
  /** The whole file that they were laid upon. */
  base(): AsyncIterable<Uint8Array>;
  /** Called with the bytes of each step. */
  progress(bytes: number): void;
}

/** What is gathered of a layer before it is written, so that pages which changed often are written once. */
const GATHERED_BYTES = 16 << 20;
/**
 * Under layers the base is written in such pieces. A page cache keeps what one call brought in as large a unit as it can, and
 * a single page that is written later walks through its whole unit (ext4 on Linux: 1.5 s for 54,000 pages in units of 1 MiB).
 */
const PIECE_UNDER_LAYERS = 128 << 10;
/** The most buffers that one call writes (IOV_MAX). */
const MOST_BUFFERS = 1024;

/**
 * Writes a database file from a base and what was laid over it: the base as it is, in large writes and in order, then from
 * the newest layer back each page that no newer one brought, with one bit of memory a page. Scattered pages of the base
 * are written twice that way, into memory that is there already; to step over each costs more (decision 42).
 */
export async function compose(file: FileHandle, composition: Composition): Promise<void> {
  const { pageCount, pageSize, layers } = composition;
  const written = new PageSet();
  await writeBase(file, composition);
  for (const layer of layers) await writeLayer(file, layer, composition, written);
  if (layers.length > 0) await file.truncate(pageCount * pageSize);
}

async function writeLayer(
  file: FileHandle,
  layer: Layer,
  { pageSize, pageCount, progress }: Composition,
  written: PageSet,
): Promise<void> {
  const own: number[] = [];
  let gathered = new GatheredPages();
  const commits = new ExpectedCommits(layer);
  const flush = () => {
    const numbers = gathered.numbers();
    writePages(file, numbers, { pageSize, pages: gathered });
    gathered.release();
    for (const number of numbers) own.push(number);
    gathered = new GatheredPages();
  };
  for await (const run of storedFrames(layer.content(), { pageSize, object: layer.object })) {
    progress(run.bytes.length);
    gathered.begin(run);
    for (let at = 0; at < run.bytes.length; at += run.frameBytes) {
      if (!commits.pass(pagesAfter(run, at))) continue;
      const number = pageNumberAt(run, at);
      if (number <= pageCount && !written.has(number)) gathered.add(number, at);
    }
    if (gathered.bytes >= GATHERED_BYTES) flush();
  }
  commits.end();
  flush();
  for (const number of own) written.add(number);
}

/** Where a run's frames are told from those of the others in one number. */
const RUN_SPAN = 1 << 24;

/** The newest version of each page in some runs of frames. */
class GatheredPages {
  readonly #runs: FrameRun[] = [];
  /** Run and place in it in one number: an object for each of a hundred thousand pages costs more than the pages. */
  readonly #places = new Map<number, number>();
  bytes = 0;

  begin(run: FrameRun): void {
    this.#runs.push(run);
    this.bytes += run.bytes.length;
  }

  /** @param at in the run that was begun last */
  add(number: number, at: number): void {
    this.#places.set(number, (this.#runs.length - 1) * RUN_SPAN + at);
  }

  /** Ascending. */
  numbers(): number[] {
    return [...this.#places.keys()].sort((a, b) => a - b);
  }

  get(number: number): Buffer {
    const place = this.#places.get(number) as number;
    return pageAt(this.#runs[Math.floor(place / RUN_SPAN)] as FrameRun, place % RUN_SPAN);
  }

  /** Gives its memory back; it has no pages afterwards. */
  release(): void {
    for (const { memory } of this.#runs) release(memory);
  }
}

/** Writes pages in ascending order, those that follow one another in one call. */
function writePages(
  file: FileHandle,
  numbers: readonly number[],
  { pageSize, pages }: { readonly pageSize: number; readonly pages: GatheredPages },
): void {
  let start = 0;
  while (start < numbers.length) {
    let end = start + 1;
    while (
      end < numbers.length &&
      end - start < MOST_BUFFERS &&
      numbers[end] === (numbers[end - 1] as number) + 1
    )
      end += 1;
    const buffers = numbers.slice(start, end).map((number) => pages.get(number));
    writeAll(file, buffers, ((numbers[start] as number) - 1) * pageSize);
    start = end;
  }
}

/** A call may write less than it was given, as on a disk that gets full. */
function writeAll(file: FileHandle, buffers: readonly Buffer[], position: number): void {
  const [first] = buffers as readonly [Buffer, ...Buffer[]];
  const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  // Most pages of a log stand alone, and a list of one costs more than the page.
  const done =
    buffers.length === 1
      ? writeSync(file.fd, first, 0, first.length, position)
      : writevSync(file.fd, buffers, position);
  if (done === length) return;
  const rest = Buffer.concat(buffers).subarray(done);
  writeAll(file, [rest], position + done);
}

async function writeBase(
  file: FileHandle,
  { base, pageSize, pageCount, layers, progress }: Composition,
): Promise<void> {
  let position = 0;
  const piece = layers.length > 0 ? PIECE_UNDER_LAYERS : Number.POSITIVE_INFINITY;
  const most = layers.length > 0 ? pageSize * pageCount : Number.POSITIVE_INFINITY;
  const writeBack = new WriteBack(file);
  const write = async (chunk: Uint8Array, at: number) => {
    await writeRun(file, chunk.subarray(0, Math.max(0, most - at)), { position: at, piece });
    writeBack.wrote(chunk.length);
    release(chunk);
  };
  // While one chunk is written, the next one is unpacked and digested.
  let writing = Promise.resolve();
  try {
    for await (const chunk of base()) {
      progress(chunk.length);
      await writing;
      writing = write(chunk, position);
      // It is awaited before the next one; until then a failure is not an unhandled one.
      writing.catch(() => {});
      position += chunk.length;
    }
    await writing;
  } finally {
    // Nobody may write to a handle that is closed and perhaps another file's by then.
    await writing.catch(() => {});
  }
  await writeBack.settle();
}

async function writeRun(
  file: FileHandle,
  bytes: Uint8Array,
  { position, piece }: { readonly position: number; readonly piece: number },
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(piece, bytes.length - done);
    done += (await file.write(bytes, done, length, position + done)).bytesWritten;
  }
}
