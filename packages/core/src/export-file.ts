import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, open, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "./errors.ts";
import { ownProcessMark, processOfMarkIsGone } from "./process-mark.ts";
import { compress } from "./stream/compress.ts";
import { decompress } from "./stream/decompress.ts";
import { syncDirectory } from "./sync-directory.ts";

/**
 * Refuses a file that is there, or whose folder is not.
 * @throws LifeboatError `TARGET_NOT_EMPTY` (kind `refused`), `TARGET_FOLDER_MISSING` (kind `usage`)
 */
export async function assertFileIsFree(path: string): Promise<void> {
  const folder = dirname(path);
  const there = await stat(folder).catch(() => undefined);
  if (!there?.isDirectory())
    throw new LifeboatError({
      code: "TARGET_FOLDER_MISSING",
      kind: "usage",
      message: `there is no folder ${folder}`,
      remedy: "make it first, or name a file in another one",
      details: { path },
    });
  if (await stat(path).catch(() => undefined)) throw taken(path);
}

/**
 * Writes a stream, compressed with zstd, into a file that is not there yet: 0600, whole and durable
 * before it has its name. What a killed run to the same place left is removed.
 * @returns the file's bytes
 * @throws LifeboatError `TARGET_NOT_EMPTY` (kind `refused`), `TARGET_FULL`, `TARGET_UNWRITABLE`
 */
export async function writeCompressedFile(
  path: string,
  content: AsyncIterable<Uint8Array>,
  level: number,
): Promise<number> {
  const prefix = `.${basename(path)}.lifeboat-`;
  const growing = join(
    dirname(path),
    `${prefix}${ownProcessMark()}-${randomBytes(4).toString("hex")}`,
  );
  try {
    await removeAbandoned(dirname(path), prefix);
    const bytes = await writeWhole(growing, compress(content, level));
    // A link, unlike a rename, takes no other file's place.
    await link(growing, path);
    await syncDirectory(dirname(path));
    return bytes;
  } catch (cause) {
    throw isSystemError(cause, "EEXIST") ? taken(path) : fileFailure(path, cause);
  } finally {
    await rm(growing, { force: true });
  }
}

/**
 * The content of such a file.
 * @throws LifeboatError `FILE_NOT_FOUND` (kind `not-found`), `CHECKSUM_MISMATCH` where it is no whole zstd file
 */
export async function* readCompressedFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* decompress(createReadStream(path));
  } catch (cause) {
    if (cause instanceof LifeboatError) throw cause;
    if (isSystemError(cause, "ENOENT")) throw noFile(path);
    throw new LifeboatError({
      code: isSystemError(cause, "EACCES") ? "FILE_UNREADABLE" : "CHECKSUM_MISMATCH",
      message: `${path} cannot be read as a zstd file: ${reasonOf(cause)}`,
      remedy: "name a file that lifeboat export --to wrote, or bring a whole copy of it",
      details: { path },
      cause,
    });
  }
}

async function writeWhole(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, "wx", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of content) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

async function removeAbandoned(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const mark = name.slice(prefix.length, name.lastIndexOf("-"));
    if (processOfMarkIsGone(mark)) await rm(join(folder, name), { force: true });
  }
}

function taken(path: string): LifeboatError {
  return new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: `${path} is there already`,
    remedy: "name another file, or move this one away",
    details: { path },
  });
}

function noFile(path: string): LifeboatError {
  return new LifeboatError({
    code: "FILE_NOT_FOUND",
    kind: "not-found",
    message: `there is no file ${path}`,
    remedy: "name a file that lifeboat export --to wrote, or an id that lifeboat list shows",
    details: { path },
  });
}

/** What keeps the file from being written; what the content throws stays as it is. */
function fileFailure(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !("syscall" in cause)) return cause;
  const full = isSystemError(cause, "ENOSPC") || isSystemError(cause, "EDQUOT");
  return new LifeboatError({
    code: full ? "TARGET_FULL" : "TARGET_UNWRITABLE",
    message: `${path} could not be written: ${reasonOf(cause)}`,
    remedy: full
      ? "make room or name a file on a larger disk, and run it again: nothing was left behind"
      : "name a file where this account may write, and run it again: nothing was left behind",
    details: { path },
    cause,
  });
}
