import { LifeboatError } from "@lifeboat/core";
import type { Entry } from "../unpack/read-archive.ts";
import type { BlockLayout } from "./block-layout.ts";
import type { DeltaTally } from "./delta-tally.ts";
import { ExactBytes } from "./exact-bytes.ts";
import type { StandingFile } from "./standing-file.ts";

const PREFIX = "INCREMENTAL.";
/** `INCREMENTAL_MAGIC` of the server. */
const MAGIC = 0xd3ae1f0d;
/** Three numbers of four bytes: magic, count of blocks, length up to which earlier blocks count. */
const FIXED_BYTES = 12;
const NUMBER_BYTES = 4;
/** Blocks that follow each other are written together, up to so much. */
const RUN_BYTES = 1 << 20;

/** The file that an entry of an incremental backup holds changes of, `base/5/1259` of `base/5/INCREMENTAL.1259`; undefined for whole files. */
export function incrementedFile(path: string): string | undefined {
  const at = path.lastIndexOf("/") + 1;
  if (!path.startsWith(PREFIX, at)) return undefined;
  return `${path.slice(0, at)}${path.slice(at + PREFIX.length)}`;
}

export interface LayingIncrement {
  readonly layout: BlockLayout;
  /** What to call the archive in messages. */
  readonly object: string;
  readonly tally: DeltaTally;
  /** Opens the file that is changed, cut to so many bytes where it is longer. */
  open(bytes: number): Promise<StandingFile>;
}

/**
 * Brings a file to what an incremental backup makes of it, by the rules of pg_combinebackup (`reconstruct.c` of the server):
 * of what stands, the blocks before its truncation length count; those that it holds take their places; what neither
 * gives is zeros. The file stands as the backup before left it.
 *
 * Its format is `basebackup_incremental.h`'s: a header in the server's byte order, padded to a whole block where
 * blocks follow, then the blocks in ascending order.
 * @throws LifeboatError `ARCHIVE_INVALID` before the file is touched, where the header is none
 */
export async function layIncrement(entry: Entry, work: LayingIncrement): Promise<StandingFile> {
  const { layout, tally } = work;
  const { blockBytes } = layout;
  const fail = (why: string) => invalid(work.object, entry.header.name, why);
  const content = new ExactBytes(entry);
  const take = async (bytes: number) => {
    const memory = Buffer.allocUnsafe(bytes);
    if (!(await content.fill(memory))) throw fail("is cut short");
    return memory;
  };
  const { blocks, truncatedTo } = await readHeader(entry.header.size ?? 0, { take, layout, fail });
  const file = await work.open(truncatedTo * blockBytes);
  await file.endWithBlock(blockBytes);
  for (let first = 0; first < blocks.length; ) {
    const at = blocks[first] as number;
    let count = 1;
    while (blocks[first + count] === at + count && (count + 1) * blockBytes <= RUN_BYTES) count++;
    await file.write(await take(count * blockBytes), at * blockBytes);
    tally.count({ kept: 0, written: count * blockBytes });
    first += count;
  }
  await file.extend(truncatedTo * blockBytes);
  return file;
}

async function readHeader(
  bytes: number,
  given: {
    readonly take: (bytes: number) => Promise<Buffer>;
    readonly layout: BlockLayout;
    readonly fail: (why: string) => LifeboatError;
  },
): Promise<{ blocks: Uint32Array; truncatedTo: number }> {
  const { take, layout, fail } = given;
  const { blockBytes, segmentBlocks } = layout;
  if (bytes < FIXED_BYTES) throw fail("is cut short");
  const fixed = await take(FIXED_BYTES);
  if (fixed.readUInt32LE(0) !== MAGIC) throw fail("does not begin as such a file does");
  const count = fixed.readUInt32LE(4);
  const truncatedTo = fixed.readUInt32LE(8);
  if (truncatedTo > segmentBlocks || count > segmentBlocks)
    throw fail("tells of more blocks than a file has");
  const header = FIXED_BYTES + count * NUMBER_BYTES;
  const padding = count === 0 ? 0 : (blockBytes - (header % blockBytes)) % blockBytes;
  if (bytes !== header + padding + count * blockBytes)
    throw fail(`has ${bytes} bytes, and not those of ${count} blocks`);
  const numbers = await take(count * NUMBER_BYTES);
  const blocks = Uint32Array.from({ length: count }, (_, index) =>
    numbers.readUInt32LE(index * NUMBER_BYTES),
  );
  if (!blocks.every((block, index) => block < segmentBlocks && block > (blocks[index - 1] ?? -1)))
    throw fail("holds blocks in no order, or beyond a file's end");
  await take(padding);
  return { blocks, truncatedTo };
}

function invalid(object: string, name: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "ARCHIVE_INVALID",
    message: `${object}: ${name}, which holds a file's changed blocks, ${why}`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { object, entry: name },
  });
}
