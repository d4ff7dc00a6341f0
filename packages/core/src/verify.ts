import { lockName } from "./backup.ts";
import { backupChain } from "./backup-chain.ts";
import { damageIn } from "./backup-summary.ts";
import { checkedContent } from "./checked-read.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine, EngineKind, Problem } from "./engine.ts";
import { engineOf } from "./engine-of.ts";
import { LifeboatError } from "./errors.ts";
import { foldersBelow } from "./listing.ts";
import type { Manifest, ManifestObject } from "./manifest.ts";
import { type Report, runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { checksumMismatch } from "./seal.ts";
import { DigestMeter } from "./stream/digest.ts";

export interface VerifyReport {
  readonly ok: boolean;
  readonly objects: number;
  /** Bytes read from the storage. */
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

/** What a check of some objects found; counts add up over the whole repository. */
interface Tally {
  objects: number;
  bytes: number;
  readonly problems: Problem[];
}

/**
 * Reads every stored byte of a repository and compares it with the digests: backups, manifests and
 * log. `deep` also unpacks the backups' objects and checks their content. Finds all that is wrong
 * rather than stopping at the first.
 */
export async function verify(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  /** Only this engine's. */
  readonly engine?: EngineKind | undefined;
  readonly deep: boolean;
  readonly signal: AbortSignal;
  readonly run?: StepRunner | undefined;
}): Promise<VerifyReport> {
  const { repository, engines, deep, signal, run = runSteps } = request;
  const tally: Tally = { objects: 0, bytes: 0, problems: [] };
  const manifests = new Map<DatabaseFolder, readonly Manifest[]>();
  const folders = await repository.folders(request.engine);
  await run([
    {
      title: "read the manifests",
      run: async () => {
        for (const folder of folders)
          manifests.set(folder, await checkManifests(repository, folder, tally));
        await checkRecords(repository, tally);
      },
    },
    ...folders.flatMap((folder) => [
      {
        title: `check the backups of ${folder.database}`,
        run: async (report: Report) =>
          checkBackups(folder, manifests.get(folder) ?? [], { deep, signal, report, tally }),
      },
      {
        title: `check the log of ${folder.database}`,
        run: async () => {
          const engine = engineOf(engines, folder.engine);
          const backups = manifests.get(folder) ?? [];
          const log = await engine.verifyLog(folder, backups, { deep, signal });
          tally.objects += log.objects;
          tally.bytes += log.bytes;
          tally.problems.push(...log.problems);
        },
      },
    ]),
  ]);
  return { ok: tally.problems.length === 0, ...tally };
}

async function checkManifests(
  repository: Repository,
  folder: DatabaseFolder,
  tally: Tally,
): Promise<readonly Manifest[]> {
  const { manifests, problems } = await repository.backups(folder);
  tally.objects += manifests.length + problems.length;
  tally.problems.push(...problems);
  const known = new Set([
    ...manifests.map(({ id }) => id),
    ...problems.map(({ object }) => object.split("/").at(-2)),
  ]);
  const all = await foldersBelow(repository.storage, `${folder.path}/backups/`);
  const without = all.filter((id) => !known.has(id));
  // A backup that is being taken has no manifest yet, and nothing is wrong with that.
  if (without.length > 0 && !(await repository.isLocked(lockName(folder))))
    for (const id of without)
      tally.problems.push({
        object: `${folder.backupPath(id)}/manifest.json`,
        code: "MANIFEST_MISSING",
        message: `${folder.backupPath(id)} has objects but no manifest: it was never finished (then the next backup removes it), or its manifest was removed`,
      });
  return manifests;
}

async function checkRecords(repository: Repository, tally: Tally): Promise<void> {
  for (const found of [await repository.drills(), await repository.migrationRecords()]) {
    tally.objects += found.records.length + found.problems.length;
    tally.problems.push(...found.problems);
  }
}

async function checkBackups(
  folder: DatabaseFolder,
  manifests: readonly Manifest[],
  how: { deep: boolean; signal: AbortSignal; report: Report; tally: Tally },
): Promise<void> {
  const { tally, report } = how;
  const totalBytes = manifests.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0);
  let bytes = 0;
  for (const manifest of manifests) {
    tally.problems.push(...brokenChain(folder, manifest, manifests));
    const damage = damageIn(manifest);
    if (damage.length > 0)
      tally.problems.push({
        object: `${folder.backupPath(manifest.id)}/manifest.json`,
        code: "SOURCE_DAMAGED",
        message: `${manifest.id} holds what was damaged in the database when it was backed up: ${damage.join("; ")}`,
      });
    for (const object of manifest.objects) {
      how.signal.throwIfAborted();
      const path = folder.objectPath(manifest, object);
      try {
        for await (const chunk of readingOf(folder, path, object, how.deep)) {
          bytes += chunk;
          report({ bytes, totalBytes, note: path });
        }
        tally.bytes += object.stored.bytes;
      } catch (thrown) {
        tally.problems.push(problemOf(thrown, path));
      }
      tally.objects += 1;
    }
  }
}

/** An incremental backup is worth nothing without all that it builds on. */
function brokenChain(
  folder: DatabaseFolder,
  manifest: Manifest,
  manifests: readonly Manifest[],
): Problem[] {
  try {
    backupChain(manifest, manifests);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    const object = `${folder.backupPath(manifest.id)}/manifest.json`;
    return [{ object, code: thrown.code, message: thrown.message }];
  }
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
  const damage = ["CHECKSUM_MISMATCH", "OBJECT_MISSING", "OBJECT_UNREADABLE"];
  if (thrown instanceof LifeboatError && damage.includes(thrown.code))
    return { object, code: thrown.code, message: thrown.message };
  throw thrown;
}
