import { LifeboatError, type Manifest, type ManifestObject } from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import { HEADER_BYTES, parseHeader } from "../examine/header.ts";
import type { Commits } from "../log/expected-commits.ts";
import { FRAME_HEADER_BYTES } from "../log/stored-frames.ts";
import { WAL_HEADER_BYTES } from "../wal/header.ts";

/** The one object of a role. @throws LifeboatError `MANIFEST_CORRUPT` where there is none, or several */
export function onlyObject(manifest: Manifest, role: "database" | "pages"): ManifestObject {
  const [object, ...others] = manifest.objects.filter((each) => each.role === role);
  if (object && others.length === 0) return object;
  const what = role === "database" ? "database files" : "objects of changed pages";
  throw corrupt(manifest, `names ${others.length + (object ? 1 : 0)} ${what} instead of one`);
}

/**
 * Proves what a manifest says of its own sizes, before anything is read.
 * @throws LifeboatError `MANIFEST_CORRUPT`
 */
export function assertContentSizes(manifest: Manifest): void {
  if (manifest.type === "full") assertBaseSize(manifest, onlyObject(manifest, "database"));
  else commitOfChanges(manifest, onlyObject(manifest, "pages"));
}

/** A file may be longer than its pages (space taken in advance), never shorter: what lacks would be zeros. */
export function assertBaseSize(manifest: Manifest, { object, content }: ManifestObject): void {
  const { pageCount, pageSize } = detailsOf(manifest);
  if (content.bytes < pageCount * pageSize)
    throw corrupt(
      manifest,
      `says that ${object} has ${content.bytes} bytes, too few for ${pageCount} pages of ${pageSize}`,
    );
}

/** The one commit that an incremental backup's pages end in, and the frame that it is at. */
export function commitOfChanges(manifest: Manifest, { object, content }: ManifestObject): Commits {
  const { pageCount, pageSize } = detailsOf(manifest);
  const frames = (content.bytes - WAL_HEADER_BYTES) / (FRAME_HEADER_BYTES + pageSize);
  // A WAL counts its frames in 32 bits.
  if (!Number.isInteger(frames) || frames < 1 || frames >= 2 ** 32)
    throw corrupt(
      manifest,
      `says that ${object} has ${content.bytes} bytes, which is no number of pages of ${pageSize}`,
    );
  return Uint32Array.of(frames, pageCount);
}

/**
 * Passes a whole database file on, whose digest the repository checks, once its header says what its manifest
 * says: it could be another one.
 * @throws LifeboatError `MANIFEST_CORRUPT`
 */
export async function* checkedBase(
  content: AsyncIterable<Uint8Array>,
  manifest: Manifest,
): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of content) {
    if (!head) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < HEADER_BYTES) continue;
    assertHeader(head, manifest);
    yield head;
    head = undefined;
  }
  if (head) assertHeader(head, manifest);
}

function assertHeader(head: Buffer, manifest: Manifest): void {
  const header = parseHeader(head);
  const { pageSize, pageCount } = detailsOf(manifest);
  if (!header) throw corrupt(manifest, "holds no SQLite database");
  // Where an old SQLite wrote last, the header does not count the pages; the file's size does.
  const pages = header.pageCount ?? pageCount;
  if (header.pageSize !== pageSize || pages !== pageCount)
    throw corrupt(
      manifest,
      `holds a database of ${pages} pages of ${header.pageSize} bytes, and says that it has ${pageCount} of ${pageSize}`,
    );
}

function corrupt({ id }: Manifest, what: string): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${id} ${what}`,
    remedy:
      "it is not as Lifeboat wrote it: restore another one (lifeboat list), and find out who can write to the repository",
    details: { backup: id },
  });
}
