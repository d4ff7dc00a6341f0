import { checkedContent } from "./checked-read.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import type { ManifestObject } from "./manifest.ts";
import { isObjectDamage } from "./object-damage.ts";
import { checksumMismatch } from "./seal.ts";
import { DigestMeter } from "./stream/digest.ts";

/** What a check of some objects found; counts add up over the whole repository. */
export interface Tally {
  objects: number;
  bytes: number;
  readonly problems: Problem[];
}

/** Reads one object that a manifest names to its end, and adds what is found to the tally. */
export async function checkObject(
  folder: DatabaseFolder,
  path: string,
  object: ManifestObject,
  how: {
    readonly deep: boolean;
    readonly signal: AbortSignal;
    readonly tally: Tally;
    /** Told of stored bytes as they come. */
    readonly passed: (bytes: number) => void;
  },
): Promise<void> {
  const { deep, signal, tally, passed } = how;
  try {
    for await (const bytes of readingOf(folder, path, object, deep)) {
      // One object may be a whole database, and whoever waits for it may leave.
      signal.throwIfAborted();
      passed(bytes);
    }
    tally.bytes += object.stored.bytes;
  } catch (thrown) {
    tally.problems.push(problemOf(thrown, path));
  }
  tally.objects += 1;
}

/** Reads one object to its end and yields how many stored bytes came; throws where it is wrong. */
async function* readingOf(
  folder: DatabaseFolder,
  path: string,
  object: ManifestObject,
  deep: boolean,
): AsyncGenerator<number> {
  const meter = new DigestMeter();
  const stored = meter.through(folder.storage.read(path));
  let before = 0;
  for await (const _ of deep ? checkedContent(stored, object, path) : stored) {
    yield meter.bytes - before;
    before = meter.bytes;
  }
  const found = meter.value();
  if (found.bytes !== object.stored.bytes)
    throw checksumMismatch(path, `has ${found.bytes} bytes instead of ${object.stored.bytes}`);
  if (found.sha256 !== object.stored.sha256)
    throw checksumMismatch(
      path,
      `has SHA-256 ${found.sha256.slice(0, 12)}… instead of ${object.stored.sha256.slice(0, 12)}…`,
    );
}

/** Damage is what we look for; a storage that cannot be reached is no finding and ends the check. */
function problemOf(thrown: unknown, object: string): Problem {
  if (isObjectDamage(thrown)) return { object, code: thrown.code, message: thrown.message };
  throw thrown;
}
