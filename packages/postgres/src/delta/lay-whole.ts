import { RANGE_BYTES } from "@lifeboat/core";
import { LARGEST_FILE } from "../files/small-file.ts";
import { unsafe } from "../unpack/archive-path.ts";
import { type EntryRules, placeOfEntry } from "../unpack/entry-rules.ts";
import { FileBatch } from "../unpack/file-batch.ts";
import { type Entry, readArchive } from "../unpack/read-archive.ts";
import type { BlockLayout } from "./block-layout.ts";
import type { DeltaTally } from "./delta-tally.ts";
import { incrementedFile, layIncrement } from "./lay-increment.ts";
import type { StandingFile } from "./standing-file.ts";
import type { StandingTree } from "./standing-tree.ts";

const LABEL = "backup_label";
/** By these lines of its label a server knows an incremental backup, and does not start. */
const OF_INCREMENTAL = /^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm;

/** What is laid upon the backup before, which stands already. */
export interface Increments {
  readonly layout: BlockLayout;
  /** Whether the backup before has a file. */
  isThere(path: string): boolean;
}

export interface LayingWhole {
  readonly tree: StandingTree;
  readonly rules: EntryRules;
  /** What to call it in messages. */
  readonly path: string;
  readonly tally: DeltaTally;
  /** Of an incremental backup. */
  readonly increments?: Increments | undefined;
}

/**
 * Brings the files of one archive to its state where nobody noted its ranges, or it is an incremental backup's: all of
 * it is read, and what differs is written. The files are durable when this resolves.
 */
export async function layWhole(
  content: AsyncIterable<Uint8Array>,
  work: LayingWhole,
): Promise<void> {
  const batch = new FileBatch();
  try {
    await readArchive(content, work.path, {
      take: (entry) => layEntry(entry, work, batch),
      end: () => batch.sync(),
    });
  } finally {
    await batch.close();
  }
}

async function layEntry(entry: Entry, work: LayingWhole, batch: FileBatch): Promise<void> {
  const { tree, rules, path: object, tally, increments } = work;
  const { mode = 0, size = 0 } = entry.header;
  const { path, kind } = placeOfEntry(entry.header, object, rules);
  if (kind === "directory") return tree.directory(path, mode);
  if (kind !== "file" || rules.passOver?.has(path)) return;
  const opening = (name: string) => async (bytes: number) => {
    const file = await tree.file(name, { mode, bytes, object });
    batch.add(file.handle, bytes);
    return file;
  };
  const changed = increments && incrementedFile(path);
  if (increments && changed !== undefined) {
    if (!increments.isThere(changed))
      throw unsafe(object, path, "holds changes of a file that the backup before does not have");
    const { layout } = increments;
    await layIncrement(entry, { layout, object, tally, open: opening(changed) });
  } else if (increments && path === LABEL) {
    const label = await plainLabel(entry, object);
    await layContent([label], await opening(path)(label.length), tally);
  } else await layContent(entry, await opening(path)(size), tally);
  await batch.flushIfFull();
}

/** The label of an incremental backup as one of a whole one, which it is part of here; so does pg_combinebackup. */
async function plainLabel(entry: Entry, object: string): Promise<Buffer> {
  if ((entry.header.size ?? 0) > LARGEST_FILE) throw unsafe(object, LABEL, "is no label");
  const pieces: Buffer[] = [];
  for await (const piece of entry) pieces.push(Buffer.from(piece));
  const text = Buffer.concat(pieces).toString("latin1");
  return Buffer.from(text.replace(OF_INCREMENTAL, ""), "latin1");
}

async function layContent(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  file: StandingFile,
  tally: DeltaTally,
): Promise<void> {
  const memory = Buffer.allocUnsafe(Math.min(file.bytes, RANGE_BYTES));
  let offset = 0;
  for await (const right of inRanges(content, memory.length)) {
    const standing = memory.subarray(0, right.length);
    const stands = (await file.read(standing, offset)) ? standing : undefined;
    await file.bring(right, { stands, offset, tally });
    offset += right.length;
  }
}

/**
 * Put together up to a range: tar-stream gives what it has. In memory of its own, since each piece is good only until
 * the next is asked for; and so is each range.
 */
async function* inRanges(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<Buffer> {
  const range = Buffer.allocUnsafe(size);
  let filled = 0;
  for await (const chunk of content)
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + size - filled);
      range.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < size) continue;
      yield range;
      filled = 0;
    }
  if (filled > 0) yield range.subarray(0, filled);
}
