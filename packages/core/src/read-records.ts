import type { Problem } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import { allObjects } from "./listing.ts";
import { readDocument } from "./read-document.ts";
import { openSealedJson } from "./sealed-json.ts";
import type { Storage } from "./storage.ts";

/** Records of one kind, oldest first; those that cannot be read are problems. */
export interface Records<T> {
  readonly records: readonly T[];
  readonly problems: readonly Problem[];
}

/**
 * Reads the sealed documents of a folder whose names sort by time. What lies there under another name than its own,
 * or is another app's, was moved or swapped: it is a problem, and obeyed by nobody.
 * @param folder of the app, such as `drills`
 */
export async function readRecords<T extends { readonly id: string; readonly app: string }>(
  { storage, app }: { readonly storage: Storage; readonly app: string },
  folder: string,
  assertShape: (value: Record<string, unknown>, path: string) => T,
): Promise<Records<T>> {
  const records: T[] = [];
  const problems: Problem[] = [];
  for await (const { path } of allObjects(storage, `${app}/${folder}/`)) {
    try {
      const bytes = await readDocument(storage, path);
      if (!bytes) continue;
      const record = assertShape(openSealedJson(bytes, path), path);
      if (path !== `${app}/${folder}/${record.id}.json` || record.app !== app)
        throw notItsPlace(path, record);
      records.push(record);
    } catch (thrown) {
      problems.push(documentProblem(thrown, path));
    }
  }
  return { records, problems };
}

function notItsPlace(
  object: string,
  { id, app }: { readonly id: string; readonly app: string },
): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${object} is the record ${id} of ${app}, which does not belong there`,
    remedy: "it was moved or swapped: bring the right object back from a copy of the repository",
    details: { object },
  });
}

/** One document is at fault, and the others can be read. */
const DOCUMENT_FAULTS = new Set(["MANIFEST_CORRUPT", "FORMAT_TOO_NEW", "OBJECT_UNREADABLE"]);

export function documentProblem(thrown: unknown, object: string): Problem {
  if (!(thrown instanceof LifeboatError) || !DOCUMENT_FAULTS.has(thrown.code)) throw thrown;
  return { object, code: thrown.code, message: thrown.message };
}
