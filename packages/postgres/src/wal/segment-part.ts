import type { DatabaseFolder, StoredObject } from "@lifeboat/core";
import { logName, parseWalFileName } from "./segment-name.ts";

/** What a receiver has shipped of a segment that is still being written: its first `offset` bytes. */
export interface SegmentPart {
  /** The segment's file name. */
  readonly segment: string;
  readonly offset: number;
  /** Below `wal/`. */
  readonly name: string;
  readonly stored: StoredObject;
}

/** Where a part lies below `wal/`. The offset in eight hexadecimal digits, so that the newest is listed last. */
export function partName(segment: string, offset: number): string {
  const digits = offset.toString(16).toUpperCase().padStart(8, "0");
  return `${logName(segment)}.${digits}.part`;
}

/** Reads the name of a part, without its folder; undefined when it is none. */
export function parsePartName(name: string): { segment: string; offset: number } | undefined {
  const [, segment = "", digits = ""] = /^([0-9A-F]{24})\.([0-9A-F]{8})\.part$/.exec(name) ?? [];
  if (parseWalFileName(segment)?.kind !== "segment") return undefined;
  return { segment, offset: Number.parseInt(digits, 16) };
}

/** The parts of one segment, or of a whole timeline (its eight digits), the shortest of each segment first. */
export async function listParts(folder: DatabaseFolder, of: string): Promise<SegmentPart[]> {
  const parts: SegmentPart[] = [];
  for await (const { name, stored } of folder.listLog(logName(of))) {
    const part = parsePartName(name.slice(name.indexOf("/") + 1));
    if (part) parts.push({ ...part, name, stored });
  }
  return parts;
}

/** A receiver that ships at once may replace a part more than once while it is looked for. */
const LOOKS = 5;

/**
 * The longest part of a segment; undefined where there is none. A receiver at work stores a longer one and removes the one
 * before: a listing that was begun before the one and ended after the other holds neither, and so only several of them
 * prove that there is none.
 */
export async function newestPart(
  folder: DatabaseFolder,
  segment: string,
): Promise<SegmentPart | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    const part = (await listParts(folder, segment)).at(-1);
    if (part) return part;
  }
  return undefined;
}
