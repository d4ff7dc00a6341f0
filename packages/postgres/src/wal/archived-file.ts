import { basename } from "node:path";
import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import { checkedSegment } from "./archived-segment.ts";
import { assertThere } from "./guarded-folder.ts";
import { readSmallLog } from "./read-small-log.ts";
import { logName, parseWalFileName } from "./segment-name.ts";
import { newestPart } from "./segment-part.ts";

/**
 * A WAL file for a server in recovery: its content, checked as it is read, or undefined where it is
 * proved that there is none.
 *
 * The server takes "there is no such file" for the end of the archive and opens the database. So
 * that is said only when the repository is there, the file is not, and it lies in no hole.
 * @throws LifeboatError `WAL_GAP`, `REPOSITORY_GONE`; when the content is read: `CHECKSUM_MISMATCH`,
 *   `WAL_INVALID`, `WAL_FOREIGN`
 */
export async function archivedFile(
  folder: DatabaseFolder,
  name: string,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  if (await folder.statLog(logName(name))) return contentOf(folder, name);
  const hasPart = await hasPartOf(folder, name);
  const behind = hasPart ? await behindSegment(folder, name) : undefined;
  if (hasPart && behind === undefined) return checkedSegment(folder, name);
  // A repository whose mount has gone has no files either.
  await assertThere(folder);
  const later = behind ?? (await behindHole(folder, name));
  // A receiver may have shipped it whole since it was looked for, and removed its parts then.
  if (await folder.statLog(logName(name))) return contentOf(folder, name);
  if (later !== undefined) throw hole(folder, name, later);
  return undefined;
}

/**
 * Whether a receiver has shipped a part of it. Where nothing whole lies behind it, it is the end of the archive; else its rest is
 * missing, and it is the beginning of a hole.
 */
async function hasPartOf(folder: DatabaseFolder, name: string): Promise<boolean> {
  if (parseWalFileName(name)?.kind !== "segment") return false;
  return (await newestPart(folder, name)) !== undefined;
}

/** Segments are checked for whose they are; history and label files have nothing to check but the seal. */
function contentOf(folder: DatabaseFolder, name: string): AsyncIterable<Uint8Array> {
  const kind = parseWalFileName(name)?.kind;
  if (kind === "segment" || kind === "partial") return checkedSegment(folder, name);
  return readSmallLog(folder, name);
}

/**
 * A segment that is missing between others is a hole, not the end. Before a timeline's first
 * segment there is none: the server asks the newest timeline first and goes back to its parents.
 * @returns the first segment behind the hole
 */
async function behindHole(folder: DatabaseFolder, name: string): Promise<string | undefined> {
  if (parseWalFileName(name)?.kind !== "segment") return undefined;
  const timeline = name.slice(0, 8);
  const earlier = await firstSegment(folder, timeline, undefined);
  if (earlier === undefined || earlier > name) return undefined;
  return behindSegment(folder, name);
}

/** The first whole segment behind it on its timeline. */
async function behindSegment(folder: DatabaseFolder, name: string): Promise<string | undefined> {
  return firstSegment(folder, name.slice(0, 8), folder.logPath(logName(name)));
}

function hole(folder: DatabaseFolder, name: string, later: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_GAP",
    message: `${folder.logPath(logName(name))} is missing, and later segments such as ${later} are there`,
    remedy: `recover to an instant before the hole (lifeboat list shows the windows), or archive ${name} from the server's pg_wal`,
    details: { segment: name, later },
  });
}

/** The first whole segment of a timeline, or the first after a path. */
async function firstSegment(
  folder: DatabaseFolder,
  timeline: string,
  after: string | undefined,
): Promise<string | undefined> {
  const prefix = `${folder.path}/wal/${timeline}/${timeline}`;
  for (let from = after; ; ) {
    const page = await folder.storage.list({ prefix, after: from, limit: 10 });
    for (const { path } of page.objects) {
      const name = basename(path, ".zst");
      if (parseWalFileName(name)?.kind === "segment") return name;
    }
    if (page.next === null) return undefined;
    from = page.next;
  }
}
