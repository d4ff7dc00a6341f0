import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core/errors";

/** What a verb writes into a file that the user names. */
export interface WrittenDocument {
  /** As a refusal names it: `plan of a migration`. */
  readonly what: string;
  readonly text: string;
  readonly mode: number;
  /** Whether a text that is there is an earlier one of the kind, which may be replaced. */
  isEarlier(text: string): boolean;
}

/**
 * Writes a document, whole or not at all. An earlier one is replaced; anything else that is there is not.
 * @throws LifeboatError `FILE_EXISTS` (refused), `FILE_UNWRITABLE`
 */
export async function writeDocument(file: string, document: WrittenDocument): Promise<void> {
  const path = resolve(file);
  if (!(await isFreeOrEarlier(path, document)))
    throw new LifeboatError({
      code: "FILE_EXISTS",
      kind: "refused",
      message: `${path} is there and is no ${document.what}`,
      remedy: "name another file by --out",
    });
  // A name that nobody can guess, and never over what is there: in a folder for all, a link may wait under it.
  const growing = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await writeFile(growing, document.text, { flag: "wx", mode: document.mode, flush: true });
    await rename(growing, path);
  } catch (cause) {
    await rm(growing, { force: true });
    throw new LifeboatError({
      code: "FILE_UNWRITABLE",
      message: `cannot write ${path}: ${reasonOf(cause)}`,
      remedy: "name a file in a directory that this account can write to by --out",
      cause,
    });
  }
}

async function isFreeOrEarlier(path: string, document: WrittenDocument): Promise<boolean> {
  try {
    return document.isEarlier(await readFile(path, "utf8"));
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return true;
    if (isSystemError(thrown, "EISDIR")) return false;
    throw thrown;
  }
}
