import { LifeboatError } from "./errors.ts";
import { readDocument } from "./read-document.ts";
import { openSealedJson } from "./sealed-json.ts";
import type { Storage } from "./storage.ts";

/** Where an app's mark lies. */
export function markPath(app: string): string {
  return `${app}/lifeboat.json`;
}

const BRING_BACK =
  "bring this object back from a copy of the repository; until then no backup and no log is taken there, while list, verify and restore go on as ever";

/** Nobody can tell what it said. */
export class DamagedMark extends LifeboatError {}

/**
 * The id of an app's repository; undefined where it has no mark.
 * @throws DamagedMark
 */
export async function readMark(storage: Storage, app: string): Promise<string | undefined> {
  const path = markPath(app);
  const bytes = await readDocument(storage, path);
  if (!bytes) return undefined;
  const mark = openMark(bytes, path);
  if (mark.format !== 1)
    throw new LifeboatError({
      code: "FORMAT_TOO_NEW",
      message: `${path} has format ${String(mark.format)}; this version reads format 1`,
      remedy: "use a newer Lifeboat",
    });
  if (mark.app !== app)
    throw new LifeboatError({
      code: "MANIFEST_CORRUPT",
      message: `${path} belongs to the app ${String(mark.app)}`,
      remedy: "it was moved: bring the right object back from a copy of the repository",
    });
  return String(mark.id);
}

/** Nothing is written beside a damaged mark: another backup, which would do for a damaged manifest, is no remedy. */
function openMark(bytes: Uint8Array, path: string): Record<string, unknown> {
  try {
    return openSealedJson(bytes, path);
  } catch (cause) {
    if (!(cause instanceof LifeboatError)) throw cause;
    throw new DamagedMark({
      code: cause.code,
      message: cause.message,
      remedy: BRING_BACK,
      details: cause.details,
      cause,
    });
  }
}

/**
 * The mark is not there, and what it stands for is.
 * @param remembered the file that keeps another from being made, where there is one
 */
export function lostMark(app: string, remembered: string | undefined): DamagedMark {
  const path = markPath(app);
  return new DamagedMark({
    code: "OBJECT_MISSING",
    message: `${path} is missing, and databases of ${app} lie beside it`,
    remedy: `${BRING_BACK}${remembered === undefined ? "" : `; where there is no copy, remove ${remembered}: the next backup then makes another`}`,
    details: { object: path },
  });
}
