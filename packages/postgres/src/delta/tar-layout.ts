import { LifeboatError, RANGE_BYTES } from "@lifeboat/core";
import { modeOf, nameOf, paddingOf, sizeOf, TAR_BLOCK, typeOf } from "../basebackup/tar-header.ts";

const TYPES: Readonly<Record<string, string>> = { 0: "file", 2: "symlink", 5: "directory" };

/** A member of an archive. */
export interface TarMember {
  readonly name: string;
  /** As tar-stream names it; undefined for kinds that no base backup has. */
  readonly type: string | undefined;
  readonly mode: number;
  readonly bytes: number;
}

/** A part of a member's content that lies in a range. */
export interface Piece<Member = TarMember> {
  readonly member: Member;
  /** Within the range. */
  readonly at: number;
  readonly bytes: number;
  /** Within the member. */
  readonly offset: number;
  /** Nothing of the member comes after it. */
  readonly isLast: boolean;
}

/** One range of an archive: what of it the headers give, and what the files have to. All else is zeros. */
export interface RangeLayout<Member = TarMember> {
  readonly bytes: number;
  /** Members that begin in it. */
  readonly members: readonly Member[];
  readonly headers: readonly { readonly at: number; readonly content: Uint8Array }[];
  readonly pieces: readonly Piece<Member>[];
}

/**
 * How an archive's ranges are made up, in order.
 * @param totalBytes the archive's
 * @throws LifeboatError `ARCHIVE_INVALID` when its members are larger than that
 */
export function* layOut(
  headers: Iterable<Buffer>,
  totalBytes: number,
  object: string,
): Generator<RangeLayout> {
  let range = emptyRange();
  const room = () => RANGE_BYTES - range.bytes;
  const endIfFull = function* () {
    if (room() > 0) return;
    yield range;
    range = emptyRange();
  };
  let total = 0;
  for (const header of headers) {
    const member = memberOf(header);
    const padding = paddingOf(member.bytes);
    total += TAR_BLOCK + member.bytes + padding;
    if (total > totalBytes) throw tooLarge(object);
    // Blocks of 512 bytes never lie across the border of a range.
    range.members.push(member);
    range.headers.push({ at: range.bytes, content: header });
    range.bytes += TAR_BLOCK;
    yield* endIfFull();
    for (let offset = 0; offset < member.bytes; ) {
      const bytes = Math.min(room(), member.bytes - offset);
      const isLast = offset + bytes === member.bytes;
      range.pieces.push({ member, at: range.bytes, bytes, offset, isLast });
      range.bytes += bytes;
      offset += bytes;
      if (isLast) range.bytes += padding;
      yield* endIfFull();
    }
  }
  // Blocks of zeros close the archive.
  for (let left = totalBytes - total; left > 0; ) {
    const bytes = Math.min(room(), left);
    range.bytes += bytes;
    left -= bytes;
    yield* endIfFull();
  }
  if (range.bytes > 0) yield range;
}

function emptyRange() {
  return {
    bytes: 0,
    members: [] as TarMember[],
    headers: [] as { at: number; content: Uint8Array }[],
    pieces: [] as Piece[],
  };
}

function memberOf(header: Buffer): TarMember {
  return {
    name: Buffer.from(nameOf(header), "latin1").toString("utf8"),
    type: TYPES[typeOf(header)],
    mode: modeOf(header),
    bytes: sizeOf(header.subarray(124, 136)),
  };
}

function tooLarge(object: string): LifeboatError {
  return new LifeboatError({
    code: "ARCHIVE_INVALID",
    message: `${object} is smaller than the files that its backup says it holds`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { object },
  });
}
