import { type DatabaseFolder, release } from "@lifeboat/core";
import { commitsOf, ExpectedCommits } from "../log/expected-commits.ts";
import { formatLogName } from "../log/name.ts";
import { bytesOfWal, type Mark } from "../log/note.ts";
import {
  type FrameRun,
  pageAt,
  pageNumberAt,
  pagesAfter,
  storedFrames,
} from "../log/stored-frames.ts";
import { type PageToWrite, walOfOneTransaction } from "../wal/one-transaction.ts";
import { saltsFor } from "../wal/wal-writer.ts";
import type { NamedObject } from "./compaction-state.ts";
import { type NotedObject, notesOf, spanNote } from "./merge-frames.ts";
import { PageSet } from "./page-set.ts";

/** Up to this size an object is held while it is read; a larger one is read twice. */
const HELD_BYTES = 16 << 20;

/**
 * Stores, beside objects that follow one another, one with each page's newest version: a restore skips
 * over their span with it.
 * @returns its name
 */
export async function mergePages(
  folder: DatabaseFolder,
  run: readonly NamedObject[],
): Promise<string> {
  const noted = await notesOf(folder, run);
  const [first, last] = [noted[0] as NotedObject, noted.at(-1) as NotedObject];
  const { lineage, pageSize } = first.note;
  const { instant } = last.object;
  const span = { first: first.note.first, last: last.note.last, instant };
  const name = formatLogName({ lineage, ...span, kind: "pages" });
  const [, , pageCount] = last.note.marks.at(-1) as Mark;
  let frames = 0;
  const content = async function* () {
    frames = 0;
    const counted = async function* () {
      for await (const page of newestPages(folder, noted, pageCount)) {
        frames += 1;
        yield page;
      }
    };
    yield* walOfOneTransaction(counted(), { pageSize, pageCount, salts: saltsFor(name) });
  };
  const note = () => ({
    ...spanNote(first.note, last.note),
    marks: [[instant, frames, pageCount]],
  });
  await folder.storeLog(name, content, note);
  return name;
}

/** From the newest object back, each page once. */
async function* newestPages(
  folder: DatabaseFolder,
  noted: readonly NotedObject[],
  pageCount: number,
): AsyncGenerator<PageToWrite> {
  const written = new PageSet();
  for (const each of noted.toReversed()) {
    const wanted = (number: number) => number <= pageCount && !written.has(number);
    const own: number[] = [];
    const pages =
      bytesOfWal(each.note) <= HELD_BYTES
        ? heldPages(folder, each, wanted)
        : pagesReadTwice(folder, each, wanted);
    for await (const page of pages) {
      own.push(page.number);
      yield page;
    }
    for (const number of own) written.add(number);
  }
}

type Wanted = (number: number) => boolean;

async function* heldPages(
  folder: DatabaseFolder,
  noted: NotedObject,
  wanted: Wanted,
): AsyncGenerator<PageToWrite> {
  const newest = new Map<number, Buffer>();
  const held: Uint8Array[] = [];
  for await (const run of checkedRuns(folder, noted)) {
    held.push(run.memory);
    for (const at of framesIn(run)) {
      const number = pageNumberAt(run, at);
      if (wanted(number)) newest.set(number, pageAt(run, at));
    }
  }
  for (const [number, page] of newest) yield { number, page };
  // Until it is collected the next object's would come on top.
  held.forEach(release);
}

async function* pagesReadTwice(
  folder: DatabaseFolder,
  noted: NotedObject,
  wanted: Wanted,
): AsyncGenerator<PageToWrite> {
  const newest = new Map<number, number>();
  let frame = 0;
  for await (const run of checkedRuns(folder, noted)) {
    for (const at of framesIn(run)) {
      const number = pageNumberAt(run, at);
      if (wanted(number)) newest.set(number, frame);
      frame += 1;
    }
    release(run.memory);
  }
  frame = 0;
  for await (const run of checkedRuns(folder, noted)) {
    for (const at of framesIn(run)) {
      const number = pageNumberAt(run, at);
      if (newest.get(number) === frame) yield { number, page: pageAt(run, at) };
      frame += 1;
    }
    release(run.memory);
  }
}

/** Its frames, as its note says; whoever is done with a run releases it. */
async function* checkedRuns(
  folder: DatabaseFolder,
  { object, note }: NotedObject,
): AsyncGenerator<FrameRun> {
  const content = folder.readLog(object.name, bytesOfWal(note));
  const path = folder.logPath(object.name);
  const expected = new ExpectedCommits({ object: path, commits: commitsOf(note), cut: false });
  for await (const run of storedFrames(content, { pageSize: note.pageSize, object: path })) {
    for (const at of framesIn(run)) expected.pass(pagesAfter(run, at));
    yield run;
  }
  expected.end();
}

/** Where each of its frames begins. */
function* framesIn({ bytes, frameBytes }: FrameRun): Generator<number> {
  for (let at = 0; at < bytes.length; at += frameBytes) yield at;
}
