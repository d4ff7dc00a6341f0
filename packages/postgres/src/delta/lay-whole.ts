import { RANGE_BYTES } from "@lifeboat/core";
import { type EntryRules, placeOfEntry } from "../entry-rules.ts";
import { FileBatch } from "../file-batch.ts";
import { type Entry, readArchive } from "../read-archive.ts";
import type { DeltaTally } from "./delta-tally.ts";
import type { StandingTree } from "./standing-tree.ts";

export interface LayingWhole {
  readonly tree: StandingTree;
  readonly rules: EntryRules;
  /** What to call it in messages. */
  readonly path: string;
  readonly tally: DeltaTally;
}

/**
 * Brings the files of one archive to its state where nobody noted its ranges: all of it is read, and what
 * differs is written. The files are durable when this resolves.
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

async function layEntry(
  entry: Entry,
  { tree, rules, path: object, tally }: LayingWhole,
  batch: FileBatch,
): Promise<void> {
  const { mode = 0, size: bytes = 0 } = entry.header;
  const { path, kind } = placeOfEntry(entry.header, object, rules);
  if (kind === "directory") return tree.directory(path, mode);
  if (kind !== "file" || rules.passOver?.has(path)) return;
  const file = await tree.file(path, { mode, bytes, object });
  batch.add(file.handle, bytes);
  const memory = Buffer.allocUnsafe(Math.min(bytes, RANGE_BYTES));
  let offset = 0;
  for await (const right of inRanges(entry, memory.length)) {
    const standing = memory.subarray(0, right.length);
    const isKept = (await file.read(standing, offset)) && standing.equals(right);
    tally.count(isKept ? "kept" : "written", right.length);
    if (!isKept) await file.write(right, offset);
    offset += right.length;
  }
  if (batch.isFull) await batch.sync();
}

/**
 * Put together up to a range: tar-stream gives what it has. In memory of its own, since each piece is good only until
 * the next is asked for; and so is each range.
 */
async function* inRanges(content: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
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
