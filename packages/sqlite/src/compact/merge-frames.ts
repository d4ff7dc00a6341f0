import { type DatabaseFolder, release } from "@lifeboat/core";
import { assertFollows } from "../log/chain.ts";
import { commitsOf, ExpectedCommits } from "../log/expected-commits.ts";
import { formatLogName } from "../log/name.ts";
import {
  bytesOfWal,
  checkedNote,
  type Mark,
  MOST_MARKS,
  type Part,
  type SegmentNote,
} from "../log/note.ts";
import { pagesAfter, storedFrames } from "../log/stored-frames.ts";
import { saltsFor, WalWriter } from "../wal/wal-writer.ts";
import type { NamedObject } from "./compaction-state.ts";

/** Larger ones stay as they are: to read them again costs more than it saves a restore. */
const LARGEST_PART_BYTES = 64 << 20;

export interface NotedObject {
  readonly object: NamedObject;
  readonly note: SegmentNote;
}

/**
 * Merges segments that follow one another into one with all their frames and marks, or into several where it would
 * have more marks than an object may have.
 * @returns the names of what was stored; a very large segment stays, and parts those around it
 */
export async function mergeFrames(
  folder: DatabaseFolder,
  run: readonly NamedObject[],
  mostMarks: number = MOST_MARKS,
): Promise<string[]> {
  let group: NotedObject[] = [];
  let marks = 0;
  const groups = [group];
  const beginGroup = () => {
    [group, marks] = [[], 0];
    groups.push(group);
  };
  for (const noted of await notesOf(folder, run)) {
    if (bytesOfWal(noted.note) > LARGEST_PART_BYTES) {
      beginGroup();
      continue;
    }
    if (marks + noted.note.marks.length > mostMarks) beginGroup();
    group.push(noted);
    marks += noted.note.marks.length;
  }
  const names: string[] = [];
  for (const group of groups) if (group.length > 1) names.push(await mergeAll(folder, group));
  return names;
}

/** Their notes, proved to follow one another. */
export async function notesOf(
  folder: DatabaseFolder,
  run: readonly NamedObject[],
): Promise<NotedObject[]> {
  const noted: NotedObject[] = [];
  for (const object of run) {
    const path = folder.logPath(object.name);
    const note = checkedNote(await folder.readLogNote(object.name), object.name, path);
    assertFollows(note, noted.at(-1)?.note, path);
    noted.push({ object, note });
  }
  return noted;
}

async function mergeAll(folder: DatabaseFolder, group: readonly NotedObject[]): Promise<string> {
  const [first, last] = [group[0] as NotedObject, group.at(-1) as NotedObject];
  const { lineage } = first.note;
  const span = { first: first.note.first, last: last.note.last, instant: last.object.instant };
  const name = formatLogName({ lineage, ...span, kind: "frames" });
  const { marks, parts } = joined(group);
  const note = { ...spanNote(first.note, last.note), marks, parts };
  await folder.storeLog(
    name,
    () => framesOf(folder, group, name),
    () => note,
  );
  return name;
}

/** What the note of a merged object has of its first and of its last part. */
export function spanNote(first: SegmentNote, last: SegmentNote) {
  return {
    format: 1,
    lineage: first.lineage,
    first: first.first,
    last: last.last,
    pageSize: first.pageSize,
    start: first.start,
    end: last.end,
    chain: { before: first.chain.before, after: last.chain.after },
  } as const;
}

function joined(group: readonly NotedObject[]): { marks: Mark[]; parts: Part[] } {
  const marks: Mark[] = [];
  const parts: Part[] = [];
  let before = 0;
  for (const { note } of group) {
    const { start } = note;
    const own = note.parts ?? [[0, start.salt1, start.salt2, start.frames] as const];
    for (const [at, ...place] of own) parts.push([before + at, ...place]);
    for (const [instant, frames, pages] of note.marks)
      marks.push([instant, before + frames, pages]);
    before = marks.at(-1)?.[1] ?? before;
  }
  return { marks, parts };
}

async function* framesOf(
  folder: DatabaseFolder,
  group: readonly NotedObject[],
  name: string,
): AsyncGenerator<Uint8Array> {
  const pageSize = group[0]?.note.pageSize ?? 0;
  // The same parts give the same bytes, so that a second try finds its own work.
  const writer = new WalWriter(pageSize, saltsFor(name));
  yield writer.header;
  for (const { object, note } of group) {
    const content = folder.readLog(object.name, bytesOfWal(note));
    const path = folder.logPath(object.name);
    // What is not as its note says must not become so by being merged.
    const expected = new ExpectedCommits({ object: path, commits: commitsOf(note), cut: false });
    for await (const run of storedFrames(content, { pageSize, object: path })) {
      for (let at = 0; at < run.bytes.length; at += run.frameBytes)
        expected.pass(pagesAfter(run, at));
      // In their own memory, and given on many at once: a frame alone costs more on its way than its checksum.
      writer.stamp(run.bytes);
      yield run.bytes;
      release(run.memory);
    }
    expected.end();
  }
}
