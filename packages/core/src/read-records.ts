import type { Problem } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import { allObjects } from "./listing.ts";
import { openSealedJson } from "./manifest.ts";
import { readDocument } from "./read-document.ts";
import type { Storage } from "./storage.ts";

/** Records of one kind, oldest first; those that cannot be read are problems. */
export interface Records<T> {
  readonly records: readonly T[];
  readonly problems: readonly Problem[];
}

/** Reads the sealed documents of a folder whose names sort by time. */
export async function readRecords<T>(
  storage: Storage,
  folder: string,
  assertShape: (value: Record<string, unknown>, path: string) => T,
): Promise<Records<T>> {
  const records: T[] = [];
  const problems: Problem[] = [];
  for await (const { path } of allObjects(storage, folder)) {
    try {
      const bytes = await readDocument(storage, path);
      if (bytes) records.push(assertShape(openSealedJson(bytes, path), path));
    } catch (thrown) {
      problems.push(documentProblem(thrown, path));
    }
  }
  return { records, problems };
}

/** One document is at fault, and the others can be read. */
const DOCUMENT_FAULTS = new Set(["MANIFEST_CORRUPT", "FORMAT_TOO_NEW", "OBJECT_UNREADABLE"]);

export function documentProblem(thrown: unknown, object: string): Problem {
  if (!(thrown instanceof LifeboatError) || !DOCUMENT_FAULTS.has(thrown.code)) throw thrown;
  return { object, code: thrown.code, message: thrown.message };
}
