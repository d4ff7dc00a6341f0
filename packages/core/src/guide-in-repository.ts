import type { Problem } from "./engine.ts";
import { LifeboatError, reasonOf } from "./errors.ts";
import type { Finding } from "./finding.ts";
import { readDocument } from "./read-document.ts";
import { documentProblem } from "./read-records.ts";
import { isWholeGuide, RESTORE_GUIDE } from "./restore-guide.ts";
import type { Storage } from "./storage.ts";

const PATH = "RESTORE.md";

/** What is wrong with the guide of a repository, by which it is restored without Lifeboat; undefined where it is whole. */
export async function guideProblem(storage: Storage): Promise<Problem | undefined> {
  try {
    const bytes = await readDocument(storage, PATH);
    if (!bytes) return problem("OBJECT_MISSING", "is missing");
    return isWholeGuide(bytes)
      ? undefined
      : problem("CHECKSUM_MISMATCH", "does not match the SHA-256 in its last line");
  } catch (thrown) {
    return documentProblem(thrown, PATH);
  }
}

/** Lays the guide down where there is none. */
export async function layGuide(storage: Storage): Promise<void> {
  try {
    await storage.create(PATH, Buffer.from(RESTORE_GUIDE));
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError) || thrown.code !== "OBJECT_EXISTS") throw thrown;
  }
}

/**
 * Puts a guide that is damaged or gone right. A storage in which nothing may be removed keeps the damaged one, which is no reason not to
 * back up.
 */
export async function mendGuide(storage: Storage): Promise<Finding[]> {
  const found = await guideProblem(storage);
  if (!found) return [];
  try {
    // A key that may remove nothing may still lay down what is gone.
    if (found.code !== "OBJECT_MISSING") await storage.remove(PATH);
    await layGuide(storage);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [
      {
        id: "guide-damaged",
        severity: "warning",
        summary: `${found.message}, and it could not be laid down anew: ${reasonOf(thrown)}`,
        remedy: `remove ${PATH} from the repository by hand; the next backup lays it down anew`,
      },
    ];
  }
}

function problem(code: string, what: string): Problem {
  const message = `${PATH}, the guide to restore without Lifeboat, ${what}; the next backup lays it down anew`;
  return { object: PATH, code, message };
}
