import type { DatabaseFolder, Leftover, LogNote } from "@lifeboat/core";
import { modeOf, modifiedOf, nameOf, sizeOf, typeOf } from "../basebackup/tar-header.ts";
import type { StoredFile, StoredPart } from "../basebackup/transport.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { packLine, unpackLine } from "../packed/lines.ts";
import { parseRangesLine } from "./stored-ranges.ts";

/** `base.0001.tar.zst`, `16385.0002.tar.zst`. */
const PART = /^(base|[1-9]\d{0,9})\.(\d{4,9})\.tar\.zst$/;
const SHA256 = /^[0-9a-f]{64}$/;
const DIGESTS_IN_LINE = 1024;

/** Whether an object of a backup is an archive that one of several workers made. */
export function isPart(object: string): boolean {
  return PART.test(object);
}

/** What has to be the same for a backup to go on with what an earlier one stored. */
export interface PartFacts {
  readonly systemIdentifier: string;
  /** As `server_version_num`. */
  readonly serverVersion: number;
  readonly timeline: number;
  /** Of compression: who asks for another gets it for the whole backup. */
  readonly level: number;
}

export function partFacts(
  { systemIdentifier, version, timeline }: ServerFacts,
  { compression }: DatabaseFolder,
): PartFacts {
  return { systemIdentifier, serverVersion: version, timeline, level: compression.level };
}

/**
 * What is stored with a part, so that a backup that knows nothing else can go on with it: the lines of its
 * ranges, which hold its members' headers, and the digest of each file.
 */
export function partNote(
  facts: PartFacts,
  lines: Iterable<string>,
  fileDigests: readonly string[],
): LogNote {
  const digests: string[] = [];
  for (let first = 0; first < fileDigests.length; first += DIGESTS_IN_LINE)
    digests.push(JSON.stringify(fileDigests.slice(first, first + DIGESTS_IN_LINE)));
  const packed = (line: string) => packLine(line).toString("base64");
  return { ...facts, ranges: Array.from(lines, packed), digests: digests.map(packed) };
}

/** A part as its note tells of it. */
export interface OfferedPart extends Pick<StoredPart, "files" | "folders"> {
  /** OID; null for the data directory. */
  readonly tablespace: number | null;
  readonly number: number;
  /** As they stand in the backup's ranges. */
  readonly lines: readonly string[];
}

/** The number that a part's name gives it. */
export function partNumber(object: string): number {
  return Number(PART.exec(object)?.[2] ?? 0);
}

/** What a stored part holds; undefined where it cannot be told, or it is of another server, timeline or compression. */
export async function offeredPart(
  leftover: Leftover,
  facts: PartFacts,
): Promise<OfferedPart | undefined> {
  const note = await leftover.note();
  if (!note || !Object.entries(facts).every(([name, value]) => note[name] === value))
    return undefined;
  const folder = PART.exec(leftover.object)?.[1] ?? "";
  const tablespace = folder === "base" ? null : Number(folder);
  try {
    const lines = unpacked(note.ranges);
    const digests = unpacked(note.digests).flatMap((line) => JSON.parse(line) as unknown[]);
    const members = membersOf(lines, leftover.object, tablespace);
    return {
      ...{ tablespace, lines, number: partNumber(leftover.object) },
      folders: members.filter(({ kind }) => kind === "folder"),
      files: withDigests(
        members.filter(({ kind }) => kind === "file"),
        digests,
      ),
    };
  } catch {
    // Its digest held, so whoever wrote it meant something else by it: nothing to go on with.
    return undefined;
  }
}

interface Member {
  readonly kind: "file" | "folder";
  /** From the data directory. */
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  readonly modified: Date;
}

function membersOf(lines: readonly string[], object: string, tablespace: number | null): Member[] {
  const below = tablespace === null ? "" : `pg_tblspc/${tablespace}/`;
  return lines.flatMap((line) => {
    const parsed = parseRangesLine(line.trimEnd(), object);
    if (parsed.object !== object) throw new Error(`a line of ${parsed.object}`);
    return parsed.headers.map((header) => {
      // Names pass through headers as bytes.
      const name = Buffer.from(nameOf(header), "latin1").toString("utf8").replace(/\/$/, "");
      return {
        kind: typeOf(header) === "5" ? ("folder" as const) : ("file" as const),
        path: `${below}${name}`,
        bytes: sizeOf(header.subarray(124, 136)),
        mode: modeOf(header),
        modified: modifiedOf(header),
      };
    });
  });
}

function withDigests(files: readonly Member[], digests: readonly unknown[]): StoredFile[] {
  if (files.length !== digests.length) throw new Error("not a digest for each file");
  return files.map(({ path, bytes, mode, modified }, index) => {
    const sha256 = digests[index];
    if (typeof sha256 !== "string" || !SHA256.test(sha256)) throw new Error("no digest");
    return { path, bytes, mode, modified, sha256 };
  });
}

function unpacked(lines: unknown): string[] {
  return (lines as string[]).map((line) => unpackLine(Buffer.from(line, "base64")));
}
