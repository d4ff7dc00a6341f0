import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  ObjectRanges,
  release,
  type SnapshotRequest,
} from "@lifeboat/core";
import { TAR_BLOCK } from "../basebackup/tar-header.ts";
import { PackedBytes } from "../packed/bytes.ts";

/** The object's role, and its name without `.zst`. */
const RANGES = "ranges";
const SHA256_PART = /^[0-9a-f]{32}$/;
const LARGEST_FRAME = 4 << 20;
/** Far above any line that is written. */
const LONGEST_LINE = 1 << 20;

/** An archive as its ranges tell it. */
export class ArchiveRanges {
  readonly ranges = new ObjectRanges();
  /** Packed: there are as many as a cluster has files. */
  readonly #headers = new PackedBytes();

  add({ headers, ranges }: RangesLine): void {
    for (const header of headers) this.#headers.add(header);
    for (const [bytes, digest] of ranges) {
      this.ranges.addFrame(bytes);
      this.ranges.addDigest(digest);
    }
  }

  /** Of its members, in their order, as they stand in it. */
  *headers(): Generator<Buffer> {
    for (const piece of this.#headers.pieces())
      for (let at = 0; at < piece.length; at += TAR_BLOCK) yield piece.subarray(at, at + TAR_BLOCK);
  }
}

/** What was noted of an archive. */
export interface ArchiveLines {
  lines(object: string): Iterable<string>;
}

/** Stores, as an object of its own, what was noted of a backup's archives. */
export async function storeRanges(
  store: SnapshotRequest["store"],
  archives: ReadonlyMap<string, ArchiveLines>,
): Promise<void> {
  const lines = async function* () {
    for (const [object, ranges] of archives)
      for (const line of ranges.lines(object)) {
        const bytes = Buffer.from(line);
        yield bytes;
        // Of a cluster with very many files these are a hundred MB: more than is left to the garbage collector.
        release(bytes);
      }
  };
  await store(RANGES, RANGES, lines());
}

/**
 * What was noted of a backup's archives, by object; undefined for backups that were taken before it was.
 * @throws LifeboatError `RANGES_INVALID`; what reading an object throws
 */
export async function readRanges(
  folder: DatabaseFolder,
  manifest: Manifest,
): Promise<ReadonlyMap<string, ArchiveRanges> | undefined> {
  const object = manifest.objects.find(({ role }) => role === RANGES);
  if (!object) return undefined;
  const found = new Map<string, ArchiveRanges>();
  const path = folder.objectPath(manifest, object);
  for await (const line of linesOf(folder.readObject(manifest, object), path)) {
    const parsed = parseRangesLine(line, path);
    const archive = found.get(parsed.object) ?? new ArchiveRanges();
    found.set(parsed.object, archive);
    archive.add(parsed);
  }
  return found;
}

/** All that stands in them is ASCII. */
async function* linesOf(content: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of content) {
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_LINE) throw invalid(path);
    yield* lines;
  }
  if (rest !== "") throw invalid(path);
}

/** Some headers of an archive, or some of its ranges. */
export interface RangesLine {
  readonly object: string;
  readonly headers: readonly Buffer[];
  readonly ranges: readonly (readonly [number, string])[];
}

/** It passed its digest; still nothing of it is believed that could lead astray. */
export function parseRangesLine(line: string, path: string): RangesLine {
  let found: { object?: unknown; headers?: unknown; ranges?: unknown };
  try {
    found = JSON.parse(line) as typeof found;
  } catch (cause) {
    throw invalid(path, cause);
  }
  const { object, headers = [], ranges = [] } = found ?? {};
  if (typeof object !== "string" || !Array.isArray(headers) || !Array.isArray(ranges))
    throw invalid(path);
  return {
    object,
    headers: headers.map((header) => {
      const bytes = typeof header === "string" ? Buffer.from(header, "base64") : Buffer.alloc(0);
      if (bytes.length !== TAR_BLOCK) throw invalid(path);
      return bytes;
    }),
    ranges: ranges.map((range: unknown) => {
      const [bytes, digest] = Array.isArray(range) ? range : [];
      const fits = Number.isSafeInteger(bytes) && bytes > 0 && bytes <= LARGEST_FRAME;
      if (!fits || typeof digest !== "string" || !SHA256_PART.test(digest)) throw invalid(path);
      return [bytes as number, digest] as const;
    }),
  };
}

function invalid(path: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "RANGES_INVALID",
    message: `${path} does not tell the ranges of a backup's archives`,
    remedy: "restore without --delta, which does not read it",
    details: { object: path },
    cause,
  });
}
