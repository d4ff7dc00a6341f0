import { chainStart, LogChain } from "../log/chain.ts";
import { newLineage } from "../log/name.ts";
import type { Mark, SegmentNote } from "../log/note.ts";
import { FRAME_HEADER_BYTES } from "../wal/frame.ts";
import type { LogPlace } from "../wal/place.ts";
import { saltsFor, WalWriter } from "../wal/wal-writer.ts";
import type { FrameMemory } from "./frame-memory.ts";
import type { WatchLimits } from "./limits.ts";
import type { LiveWal, NewFrames } from "./live-wal.ts";

const READ_BYTES = 1 << 20;

type Piece =
  | { readonly kind: "memory"; readonly memory: Buffer; filled: number }
  | { readonly kind: "file"; readonly begin: number; readonly end: number };

/** Where a segment belongs. */
export interface SegmentSeat {
  readonly lineage: string;
  readonly number: number;
  /** The chain's digest up to it. */
  readonly before: string;
}

/** The first of a lineage of its own. */
export function newSeat(): SegmentSeat {
  const lineage = newLineage(new Date());
  return { lineage, number: 1, before: chainStart(lineage) };
}

/** The committed frames that will be the next segment of a lineage. */
export class PendingSegment {
  readonly #wal: LiveWal;
  readonly #memory: FrameMemory;
  readonly #pageSize: number;
  readonly #mostMarks: number;
  readonly #pieces: Piece[] = [];
  readonly #marks: Mark[] = [];
  readonly #start: LogPlace;
  #end: LogPlace;
  #frames = 0;
  #begunAt: number | undefined;
  #bytesInMemory = 0;

  constructor(init: {
    readonly wal: LiveWal;
    readonly memory: FrameMemory;
    readonly pageSize: number;
    readonly limits: Pick<WatchLimits, "segmentMarks">;
    /** Where the segment before it, or the backup, ended. */
    readonly start: LogPlace;
  }) {
    this.#wal = init.wal;
    this.#memory = init.memory;
    this.#pageSize = init.pageSize;
    this.#mostMarks = init.limits.segmentMarks;
    this.#start = init.start;
    this.#end = init.start;
  }

  /** Where the next one starts. */
  get end(): LogPlace {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#frames === 0;
  }

  /** Frames of it lie in the WAL only, which may not be begun anew before they are stored. */
  get needsWal(): boolean {
    return this.#pieces.some(({ kind }) => kind === "file");
  }

  get bytesInMemory(): number {
    return this.#bytesInMemory;
  }

  get bytes(): number {
    return this.#frames * this.#frameBytes;
  }

  /**
   * How long ago its first commit was found, in ms, whatever became of the clock since: its instants go on from the latest one, so that by a
   * clock that was set back nothing would be due for as long.
   */
  get ageMs(): number | undefined {
    return this.#begunAt === undefined ? undefined : performance.now() - this.#begunAt;
  }

  /** Of its last commit, in ms since 1970; @throws Error of an empty one */
  get instant(): number {
    const mark = this.#marks.at(-1);
    if (!mark) throw new Error("a segment without frames has no instant");
    return mark[0];
  }

  /** Whether frames of the WAL as it runs now may be added: a segment holds those of one run, of so many looks. */
  get isOpen(): boolean {
    const { salt1, salt2 } = this.#wal.place;
    if (this.isEmpty) return true;
    const isOfRun = this.#end.salt1 === salt1 && this.#end.salt2 === salt2;
    return isOfRun && this.#marks.length < this.#mostMarks;
  }

  /**
   * @param instant by which these frames had been committed
   * @param room bytes that may be kept in memory; frames that do not fit stay in the WAL until they are stored
   */
  add({ from, to }: NewFrames, { instant, room }: { instant: number; room: number }): void {
    const count = to.frames - from.frames;
    const bytes = count * this.#frameBytes;
    if (bytes <= room) {
      this.#keep(from.frames, to.frames);
      this.#bytesInMemory += bytes;
    } else this.#pieces.push({ kind: "file", begin: from.frames, end: to.frames });
    this.#frames += count;
    this.#begunAt ??= performance.now();
    this.#end = this.#wal.placeOf(to);
    this.#marks.push([instant, this.#frames, to.pages]);
  }

  /** The content as a well-formed WAL, the same each time it is asked for, and what goes with it. */
  sealed(seat: SegmentSeat): {
    readonly content: () => AsyncGenerator<Uint8Array>;
    /** Once the content has passed. */
    readonly note: () => SegmentNote;
  } {
    let after = "";
    const content = async function* (this: PendingSegment) {
      const chain = new LogChain(seat.before);
      // The same at each try, so that a segment that was stored although the answer was lost is known again.
      const writer = new WalWriter(this.#pageSize, saltsFor(`${seat.lineage}/${seat.number}`));
      yield writer.header;
      for (const frames of this.#content()) {
        // Spoils checksums, which are made anew.
        chain.addFrames(frames, this.#pageSize);
        writer.stamp(frames);
        yield frames;
      }
      after = chain.after();
    };
    return { content: content.bind(this), note: () => this.#note(seat, after) };
  }

  /** Gives its memory back once it is stored; it has no content afterwards. */
  release(): void {
    for (const piece of this.#pieces.splice(0))
      if (piece.kind === "memory") this.#memory.giveBack(piece.memory);
    this.#bytesInMemory = 0;
  }

  get #frameBytes(): number {
    return FRAME_HEADER_BYTES + this.#pageSize;
  }

  /** Reads frames behind those before, into what is left of the last piece of memory and into further ones. */
  #keep(begin: number, end: number): void {
    for (let at = begin; at < end; ) {
      const piece = this.#pieceWithRoom();
      const room = (piece.memory.length - piece.filled) / this.#frameBytes;
      const bytes = Math.min(room, end - at) * this.#frameBytes;
      this.#wal.fill(piece.memory.subarray(piece.filled, piece.filled + bytes), at);
      piece.filled += bytes;
      at += bytes / this.#frameBytes;
    }
  }

  #pieceWithRoom(): Extract<Piece, { kind: "memory" }> {
    const last = this.#pieces.at(-1);
    if (last?.kind === "memory" && last.filled < last.memory.length) return last;
    const piece = { kind: "memory", memory: this.#memory.obtain(), filled: 0 } as const;
    this.#pieces.push(piece);
    return piece;
  }

  *#content(): Generator<Buffer> {
    const most = Math.max(1, Math.floor(READ_BYTES / this.#frameBytes));
    for (const piece of this.#pieces)
      if (piece.kind === "memory") yield piece.memory.subarray(0, piece.filled);
      else
        for (let at = piece.begin; at < piece.end; at += most)
          yield this.#wal.frames(at, Math.min(piece.end, at + most));
  }

  #note({ lineage, number, before }: SegmentSeat, after: string): SegmentNote {
    return {
      format: 1,
      lineage,
      first: number,
      last: number,
      pageSize: this.#pageSize,
      start: this.#start,
      end: this.#end,
      chain: { before, after },
      marks: this.#marks as unknown as SegmentNote["marks"],
    };
  }
}
