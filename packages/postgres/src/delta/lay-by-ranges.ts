import { inOrder, type ManifestObject, RANGE_BYTES, type RangedRead } from "@lifeboat/core";
import type { ArchiveRanges } from "../snapshot/stored-ranges.ts";
import { type EntryRules, placeOfEntry } from "../unpack/entry-rules.ts";
import { FileBatch } from "../unpack/file-batch.ts";
import type { DeltaTally } from "./delta-tally.ts";
import type { StandingFile } from "./standing-file.ts";
import type { StandingTree } from "./standing-tree.ts";
import { layOut, type Piece, type RangeLayout, type TarMember } from "./tar-layout.ts";

/** How many ranges are read from the disk before the one under way is compared. */
const AHEAD = 3;

export interface LayingByRanges {
  readonly tree: StandingTree;
  readonly rules: EntryRules;
  readonly archive: ArchiveRanges;
  readonly object: ManifestObject;
  /** What to call it in messages. */
  readonly path: string;
  readonly reading: RangedRead;
  readonly tally: DeltaTally;
}

/** What a directory holds of a range. */
interface Standing {
  readonly layout: RangeLayout;
  readonly content: Buffer;
  /** Pieces that the files end before. */
  readonly lacking: ReadonlySet<Piece>;
}

/**
 * Brings the files of one archive to its state, range by range: the archive as it would be, made from the
 * files as they stand, is compared by its digests, and only what differs is read from the repository and
 * written. The files are durable when this ends.
 *
 * Yields the length of each range when it is done.
 */
export async function* layByRanges(work: LayingByRanges): AsyncGenerator<Uint8Array> {
  const files = new OpenFiles(work);
  const spares: Buffer[] = [];
  const tasks = async function* () {
    for (const layout of layOut(work.archive.headers(), work.object.content.bytes, work.path))
      yield () => stand(layout, files, spares.pop() ?? Buffer.allocUnsafeSlow(RANGE_BYTES));
  };
  try {
    for await (const standing of inOrder(tasks(), AHEAD)) {
      const { layout, content, lacking } = standing;
      const local = content.subarray(0, layout.bytes);
      const wanted = await work.reading.next(lacking.size > 0 ? undefined : local);
      for (const piece of layout.pieces) await layPiece(piece, { standing, wanted, files, work });
      for (const member of layout.members) if (member.bytes === 0) await files.make(member);
      yield local;
      spares.push(content);
    }
    await work.reading.finish();
    await files.sync();
  } finally {
    await work.reading.close();
    await files.close();
  }
}

/** Reads what the files hold of a range. */
async function stand(layout: RangeLayout, files: OpenFiles, content: Buffer): Promise<Standing> {
  // All at once, before anything is awaited: the next range may hold more of the last of them.
  const begun = layout.members.map((member) => files.begin(member));
  content.fill(0, 0, layout.bytes);
  for (const { at, content: header } of layout.headers) content.set(header, at);
  await Promise.all(begun);
  const lacking = new Set<Piece>();
  for (const piece of layout.pieces) {
    const { member, at, bytes, offset } = piece;
    const file = await files.of(member);
    if (!(await file?.read(content.subarray(at, at + bytes), offset))) lacking.add(piece);
  }
  return { layout, content, lacking };
}

async function layPiece(
  piece: Piece,
  given: {
    readonly standing: Standing;
    readonly wanted: Uint8Array | undefined;
    readonly files: OpenFiles;
    readonly work: LayingByRanges;
  },
): Promise<void> {
  const { standing, wanted, files, work } = given;
  const { member, at, bytes, offset, isLast } = piece;
  const file = await files.of(member);
  const { tally } = work;
  if (file && !wanted) tally.count({ kept: bytes, written: 0 });
  else if (file && wanted) {
    const stands = standing.lacking.has(piece)
      ? undefined
      : standing.content.subarray(at, at + bytes);
    const right = Buffer.from(wanted.buffer, wanted.byteOffset + at, bytes);
    await file.bring(right, { stands, offset, tally });
  }
  if (isLast) await files.done(member);
}

/** The files of one archive that are under way. */
class OpenFiles {
  readonly #work: LayingByRanges;
  /** Undefined where its content is not wanted. */
  readonly #open = new Map<TarMember, Promise<StandingFile | undefined>>();
  readonly #batch = new FileBatch();

  constructor(work: LayingByRanges) {
    this.#work = work;
  }

  /** Files without content, of which a cluster has thousands, wait until they are done: not all at once. */
  async begin(member: TarMember): Promise<void> {
    const { tree, rules, path: object } = this.#work;
    const { path, kind } = placeOfEntry(member, object, rules);
    if (kind === "directory") return tree.directory(path, member.mode);
    if (kind === "file" && member.bytes > 0) await this.#openFile(member, path);
  }

  async of(member: TarMember): Promise<StandingFile | undefined> {
    return this.#open.get(member);
  }

  /** One without content. */
  async make(member: TarMember): Promise<void> {
    const { path, kind } = placeOfEntry(member, this.#work.path, this.#work.rules);
    if (kind !== "file") return;
    await this.#openFile(member, path);
    await this.done(member);
  }

  #openFile(member: TarMember, path: string): Promise<StandingFile | undefined> {
    const { tree, rules, path: object } = this.#work;
    const isWanted = !rules.passOver?.has(path);
    const { mode, bytes } = member;
    const opening = isWanted
      ? tree.file(path, { mode, bytes, object })
      : Promise.resolve(undefined);
    this.#open.set(member, opening);
    return opening;
  }

  /** Nothing of it comes any more. */
  async done(member: TarMember): Promise<void> {
    const file = await this.#open.get(member);
    this.#open.delete(member);
    if (!file) return;
    this.#batch.add(file.handle, file.bytes);
    await this.#batch.flushIfFull();
  }

  sync(): Promise<void> {
    return this.#batch.sync();
  }

  async close(): Promise<void> {
    const left = await Promise.allSettled(this.#open.values());
    for (const each of left) if (each.status === "fulfilled") await each.value?.handle.close();
    this.#open.clear();
    await this.#batch.close();
  }
}
