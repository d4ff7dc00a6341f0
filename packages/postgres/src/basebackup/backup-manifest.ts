import { createHash } from "node:crypto";
import { LifeboatError } from "@lifeboat/core";
import type { PackedBytes } from "../packed/bytes.ts";
import { type Lsn, parseLsn } from "../wal/lsn.ts";

/** The span of WAL that a base backup needs. */
export interface WalRange {
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
}

/**
 * The WAL that a server's backup manifest asks for (the manual, "Backup Manifest Format"): the
 * numbers that pg_verifybackup goes by, in words that depend on no language setting.
 * @throws LifeboatError `BACKUP_MANIFEST_INVALID` when they are not there
 */
export function walRangeOf(manifest: PackedBytes): WalRange {
  let range: Record<string, unknown> | undefined;
  for (const each of entriesOf(manifest, "WAL-Ranges")) {
    // A second range stands there only after a timeline switch during the backup, on a standby.
    if (range) throw invalid();
    range = each;
  }
  const { Timeline: timeline, "Start-LSN": first, "End-LSN": last } = range ?? {};
  const start = parseLsn(String(first));
  const end = parseLsn(String(last));
  if (!Number.isSafeInteger(timeline) || start === undefined || end === undefined) throw invalid();
  return { timeline: timeline as number, start, end };
}

/** A file of a base backup, as its manifest lists it. */
export interface ManifestFile {
  /** From the data directory. Bytes as Latin-1 characters, since it need not be valid UTF-8. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * All files that a server's backup manifest lists, one by one; and at their end the proof that it is whole: its last
 * line holds the SHA-256 of the lines before.
 * @throws LifeboatError `BACKUP_MANIFEST_INVALID`, also after the last file
 */
export function* manifestFiles(manifest: PackedBytes): Generator<ManifestFile> {
  for (const { Path: plain, "Encoded-Path": encoded, Size: size } of entriesOf(manifest, "Files")) {
    const path = typeof plain === "string" ? Buffer.from(plain) : decoded(encoded);
    if (path.length === 0 || !Number.isSafeInteger(size)) throw invalid();
    yield { path: path.toString("latin1"), bytes: size as number };
  }
}

/** Hexadecimal, of a path that is not UTF-8. */
function decoded(path: unknown): Buffer {
  if (typeof path !== "string" || !/^(?:[0-9a-f]{2})+$/i.test(path)) throw invalid();
  return Buffer.from(path, "hex");
}

/** As servers write them: what a list holds stands in lines of its own, `[` and `]` end theirs. */
const LIST = /^"(Files|WAL-Ranges)": \[$/;
const LAST = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/;
/** Far above the longest path, and all that is said of it. */
const LONGEST_LINE = 1 << 20;

/** What one of its lists holds. A line at a time: all of it as one JSON text would take ten times its own memory. */
function* entriesOf(
  manifest: PackedBytes,
  wanted: "Files" | "WAL-Ranges",
): Generator<Record<string, unknown>> {
  const hash = createHash("sha256");
  let list: string | undefined;
  let isThere = false;
  let checksum: string | undefined;
  for (const line of linesOf(manifest)) {
    if (checksum !== undefined) throw invalid();
    checksum = LAST.exec(line.toString("latin1"))?.[1];
    if (checksum !== undefined) continue;
    hash.update(line).update("\n");
    const text = line.toString("utf8");
    if (list === undefined) list = LIST.exec(text)?.[1];
    else if (/^\],?$/.test(text)) list = undefined;
    else if (list === wanted) yield parsed(text.replace(/,$/, ""));
    isThere ||= list === wanted;
  }
  if (!isThere || list !== undefined || checksum !== hash.digest("hex")) throw invalid();
}

function* linesOf(manifest: PackedBytes): Generator<Buffer> {
  let rest = Buffer.alloc(0);
  for (const piece of manifest.passing()) {
    let at = 0;
    for (let end = piece.indexOf(0x0a); end !== -1; end = piece.indexOf(0x0a, at)) {
      const line = piece.subarray(at, end);
      yield rest.length > 0 ? Buffer.concat([rest, line]) : line;
      rest = Buffer.alloc(0);
      at = end + 1;
    }
    rest = Buffer.concat([rest, piece.subarray(at)]);
    if (rest.length > LONGEST_LINE) throw invalid();
  }
  if (rest.length > 0) yield rest;
}

function parsed(text: string): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(text);
    if (typeof entry === "object" && entry !== null) return entry as Record<string, unknown>;
  } catch (cause) {
    throw invalid(cause);
  }
  throw invalid();
}

function invalid(cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_MANIFEST_INVALID",
    message: "the server's backup manifest is cut short or names no span of WAL",
    remedy: "run the backup again; with --transport wire if it happens twice",
    cause,
  });
}
