import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  assertDumpFacts,
  type DatabaseFolder,
  type DumpFacts,
  type ExportManifest,
  isSystemError,
  LifeboatError,
  openSealedJson,
  type Report,
  readCompressedFile,
  reasonOf,
} from "@lifeboat/core";
import { isFaultOfTarget } from "../archive/target-failure.ts";
import { ownAccount } from "../files/account.ts";
import { Unpacker } from "../unpack/unpack.ts";
import { DUMP_FOLDER, FACTS, SUMS } from "./postgres-dump.ts";
import { assertScratchHolds, scratchFull } from "./scratch-space.ts";

/** Where a dump comes from: an export in a repository, or a file of its own. */
export type DumpOrigin =
  | { readonly folder: DatabaseFolder; readonly manifest: ExportManifest }
  | { readonly file: string };

export interface FetchDump {
  readonly origin: DumpOrigin;
  /** A folder of ours, empty. */
  readonly into: string;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface FetchedDump {
  readonly facts: DumpFacts;
  /** As pg_restore takes it. */
  readonly directory: string;
}

/** The names that pg_dump gives, and ours. Nothing else is in a dump. */
const IN_PARTS = /^dump(\/[\w.]+)?$/;
const IN_FILE = /^(dump(\/[\w.]+)?|export\.json|globals\.sql|SHA256SUMS)$/;

/** Bytes of the longest path that pg_restore opens (MAXPGPATH, less its end). */
const PG_RESTORE_PATH = 1023;
/** `blobs_4294967295.toc` has twenty bytes. */
const LONGEST_NAME = 22;
/** More than a name of that length can climb, three bytes a step. */
const LEVELS = 8;

/**
 * Unpacks a dump into a scratch folder, all its digests checked: what is damaged, cut or swapped ends
 * here, before a byte of it reaches a database.
 * @throws LifeboatError `CHECKSUM_MISMATCH`, `OBJECT_MISSING`, `ARCHIVE_UNSAFE`, `ARCHIVE_INVALID`,
 *   `SCRATCH_FULL`
 */
export async function fetchDump(request: FetchDump): Promise<FetchedDump> {
  const { origin, into } = request;
  const place = join(into, ...Array.from({ length: LEVELS }, () => "unpacked"));
  await mkdir(place, { mode: 0o700, recursive: true });
  try {
    const facts =
      "file" in origin
        ? await fromFile(origin.file, place, request)
        : await fromParts(origin, place, request);
    const directory = join(place, DUMP_FOLDER);
    await stat(join(directory, "toc.dat"));
    return { facts, directory: withoutWayOut(directory) };
  } catch (cause) {
    if (isSystemError(cause, "ENOSPC") || isSystemError(cause, "EDQUOT"))
      throw scratchFull(`${into} has no room for the dump: ${reasonOf(cause)}`, into, cause);
    if (isFaultOfTarget(cause) && isSystemError(cause, "ENOENT"))
      throw damaged(nameOf(origin), "holds no dump (no toc.dat)", cause);
    throw cause;
  }
}

/**
 * The same directory, by a name so long that pg_restore refuses each name in it that is longer than the dump's own, and with that every one
 * that climbs out: its list of contents names the files, and of `../../etc/shadow` it would load every line into the database.
 */
function withoutWayOut(directory: string): string {
  const most = PG_RESTORE_PATH - "/".length - LONGEST_NAME;
  return directory + "/.".repeat(Math.max(0, Math.floor((most - directory.length) / 2)));
}

/** What to call it in messages. */
export function nameOf(origin: DumpOrigin): string {
  return "file" in origin ? origin.file : origin.folder.exportPath(origin.manifest.id);
}

async function fromParts(
  { folder, manifest }: Extract<DumpOrigin, { manifest: ExportManifest }>,
  place: string,
  { report, signal }: FetchDump,
): Promise<DumpFacts> {
  const { id, objects } = manifest;
  const parts = objects.filter(({ role }) => role === "dump");
  const totalBytes = parts.reduce((bytes, { content }) => bytes + content.bytes, 0);
  await assertScratchHolds(place, totalBytes);
  const unpacker = new Unpacker({
    into: place,
    account: ownAccount(),
    only: IN_PARTS,
  });
  let bytes = 0;
  for (const part of parts) {
    const content = passing(folder.readExportObject(id, part), signal, (chunk) => {
      bytes += chunk;
      report({ bytes, totalBytes, note: part.object });
    });
    await unpacker.add(content, `${folder.exportPath(id)}/${part.object}`);
  }
  return manifest;
}

async function fromFile(
  file: string,
  place: string,
  { report, signal }: FetchDump,
): Promise<DumpFacts> {
  const unpacker = new Unpacker({
    into: place,
    account: ownAccount(),
    only: IN_FILE,
  });
  let bytes = 0;
  const content = passing(readCompressedFile(file), signal, (chunk) => {
    bytes += chunk;
    report({ bytes, note: file });
  });
  await unpacker.add(content, file);
  await assertSums(file, place, signal);
  const facts = await readFile(join(place, FACTS));
  return assertDumpFacts(openSealedJson(facts, `${file}: ${FACTS}`), `${file}: ${FACTS}`);
}

/** Every file that was unpacked is named in the sums, and every name in them is a file with that digest. */
async function assertSums(file: string, place: string, signal: AbortSignal): Promise<void> {
  const text = await readFile(join(place, SUMS), "utf8").catch((cause: unknown) => {
    throw isSystemError(cause, "ENOENT")
      ? damaged(file, `was cut: it has no ${SUMS}`, cause)
      : cause;
  });
  const sums = new Map<string, string>();
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const match = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line);
    if (!match) throw damaged(file, `has a ${SUMS} of another form`);
    sums.set(match[2] as string, match[1] as string);
  }
  const found = await readdir(place, { recursive: true, withFileTypes: true });
  const names = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(place.length + 1))
    .filter((name) => name !== SUMS);
  for (const name of names)
    if (!sums.has(name)) throw damaged(file, `holds ${name}, which its ${SUMS} does not name`);
  for (const name of [FACTS, ...sums.keys()])
    if (!names.includes(name)) throw damaged(file, `has no ${name}`);
  for (const name of names) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(join(place, name))) {
      signal.throwIfAborted();
      hash.update(chunk as Uint8Array);
    }
    if (hash.digest("hex") !== sums.get(name))
      throw damaged(file, `holds ${name} with another SHA-256 than its ${SUMS} says`);
  }
}

async function* passing(
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  passed: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    signal.throwIfAborted();
    passed(chunk.length);
    yield chunk;
  }
}

function damaged(object: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "CHECKSUM_MISMATCH",
    message: `${object} ${what}`,
    remedy:
      "bring a whole copy of it, or import another export (lifeboat list); nothing was loaded",
    details: { object },
    cause,
  });
}
