import { createHash } from "node:crypto";
import type { CorruptPage } from "../corrupt-page.ts";
import type { BackupFile } from "./backup-file.ts";
import type { FileSource, SourceFile } from "./file-source.ts";
import type { TakenFile } from "./manifest-writer.ts";
import { PageCheck, type PageLayout } from "./page-check.ts";
import { TAR_END, type TarMember, tarHeader, tarPadding } from "./tar-header.ts";

const ZEROS = Buffer.alloc(1 << 18);

/** What all bundles of a backup share. */
export interface Taking {
  readonly source: FileSource;
  /** null where the cluster keeps no page checksums. */
  readonly pages: PageLayout | null;
  readonly signal: AbortSignal;
  /** Called when bytes were read. */
  readonly pass: (bytes: number) => void;
  readonly taken: TakenFile[];
  readonly corrupt: CorruptPage[];
}

/**
 * The members of a bundle as a tar's bytes, without its end. A file that has vanished is left out, one
 * that became shorter is filled up with zeros, what has grown is not read: replay knows better in each case.
 */
export async function* membersOf(
  files: Iterable<BackupFile>,
  taking: Taking,
): AsyncGenerator<Uint8Array> {
  for (const { path } of files) {
    taking.signal.throwIfAborted();
    const file = await taking.source.open(path);
    if (!file) continue;
    try {
      yield* memberOf(path, file, taking);
    } finally {
      await file.close();
    }
  }
}

async function* memberOf(
  path: string,
  file: SourceFile,
  taking: Taking,
): AsyncGenerator<Uint8Array> {
  const { bytes, mode, modified } = file;
  yield tarHeader({ path: pathInArchive(path), bytes, mode, modified, kind: "file" });
  yield* contentOf(path, file, taking);
  yield tarPadding(bytes);
}

/** A file's content as it goes into a backup, noted in `taken` at its end. */
export async function* contentOf(
  path: string,
  file: SourceFile,
  { pages, signal, pass, taken, corrupt }: Omit<Taking, "source">,
): AsyncGenerator<Uint8Array> {
  const { bytes, modified } = file;
  const check = pages && PageCheck.of(path, pages, (offset, length) => file.readAt(offset, length));
  const hash = createHash("sha256");
  let read = 0;
  for await (const chunk of file.read()) {
    signal.throwIfAborted();
    pass(chunk.length);
    await check?.check(chunk, read);
    hash.update(chunk);
    read += chunk.length;
    yield chunk;
  }
  for (; read < bytes; read += Math.min(ZEROS.length, bytes - read)) {
    const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, bytes - read));
    hash.update(zeros);
    yield zeros;
  }
  taken.push({ path, bytes, modified, sha256: hash.digest("hex") });
  if (check) corrupt.push(...check.corrupt);
}

/** A small member whose content is at hand. */
export function* smallMember(
  member: Omit<TarMember, "bytes" | "kind">,
  content: Uint8Array,
  taken: TakenFile[],
): Generator<Uint8Array> {
  const { path, modified } = member;
  const bytes = content.length;
  yield tarHeader({ ...member, bytes, kind: "file" });
  yield content;
  yield tarPadding(bytes);
  const sha256 = createHash("sha256").update(content).digest("hex");
  taken.push({ path, bytes, modified, sha256 });
}

/** The folders that files lie in, each after its parents, so that every archive can be unpacked by itself. */
export function* foldersOf(
  directories: readonly { readonly path: string; readonly mode: number }[],
): Generator<Uint8Array> {
  const modified = new Date();
  for (const { path, mode } of directories) {
    const own = pathInArchive(path);
    if (own !== "") yield tarHeader({ path: own, bytes: 0, mode, modified, kind: "directory" });
  }
}

export function tarEnd(): Uint8Array {
  return TAR_END;
}

/** A tablespace's archive begins below its folder. */
function pathInArchive(path: string): string {
  return path.replace(/^pg_tblspc\/\d+(\/|$)/, "");
}
