import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem, RecoveryPlan } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";

/** The backup whose state a plan begins with: the last of its chain. */
export function chosenBackup({ backups }: Pick<RecoveryPlan, "backups">): Manifest {
  return backups.at(-1) ?? backups[0];
}

/**
 * What a backup consists of: the full one that it builds on first, then each incremental one, itself last.
 * @param manifests the backups of its database, in any order
 * @throws LifeboatError `BACKUP_PARENT_MISSING` naming the one that is not there, or whose manifest
 *   cannot be read; `MANIFEST_CORRUPT` when the parents lead round in a circle
 */
export function backupChain(
  manifest: Manifest,
  manifests: readonly Manifest[],
): readonly [Manifest, ...Manifest[]] {
  const fault = byChain(manifests).broken.get(manifest);
  if (fault) throw fault;
  const known = new Map(manifests.map((each) => [each.id, each]));
  const chain: [Manifest, ...Manifest[]] = [manifest];
  for (let { parent } = manifest; parent !== null; { parent } = chain.at(-1) as Manifest)
    chain.push(known.get(parent) as Manifest);
  return chain.reverse() as typeof chain;
}

/** The backups that have all that they build on, and of each other one what it lacks. */
export interface ByChain {
  readonly whole: readonly Manifest[];
  /** As {@link backupChain} throws it. */
  readonly broken: ReadonlyMap<Manifest, LifeboatError>;
}

/**
 * Tells the backups that can be restored from those of which something is missing. Each is walked over once, however long a
 * chain a hostile repository has.
 * @param manifests the backups of a database, in any order
 */
export function byChain(manifests: readonly Manifest[]): ByChain {
  const known = new Map(manifests.map((manifest) => [manifest.id, manifest]));
  const whole = new Set<Manifest>();
  /** What each of the others lacks; null where its parents lead round in a circle. */
  const lacks = new Map<Manifest, string | null>();
  for (const manifest of manifests) {
    const path = new Set<Manifest>();
    let missing: string | null | undefined;
    for (let each = manifest; !whole.has(each); ) {
      missing = path.has(each) ? null : lacks.get(each);
      path.add(each);
      const next = each.parent === null ? undefined : known.get(each.parent);
      if (!next && missing === undefined && each.parent !== null) missing = each.parent;
      if (!next || missing !== undefined) break;
      each = next;
    }
    for (const each of path)
      if (missing === undefined) whole.add(each);
      else lacks.set(each, missing);
  }
  const broken = new Map(
    [...lacks].map(([each, missing]) => [
      each,
      missing === null ? circular(each) : parentMissing(each, missing),
    ]),
  );
  return { whole: manifests.filter((manifest) => whole.has(manifest)), broken };
}

/** An incremental backup is worth nothing without all that it builds on: each that lacks some of it is a problem. */
export function chainProblems(folder: DatabaseFolder, manifests: readonly Manifest[]): Problem[] {
  return [...byChain(manifests).broken].map(([{ id }, { code, message }]) => ({
    object: `${folder.backupPath(id)}/manifest.json`,
    code,
    message,
  }));
}

/** The ids of the backups that need this one, however many lie between: first those that build on it directly. */
export function buildingOn(id: string, manifests: readonly Manifest[]): string[] {
  const children = Map.groupBy(manifests, ({ parent }) => parent);
  const needing = new Set([id]);
  // Not in the order of ids: by a clock that was set back the later one has the earlier. In a circle of a hostile repository each is met once.
  for (const each of needing) for (const child of children.get(each) ?? []) needing.add(child.id);
  needing.delete(id);
  return [...needing];
}

function parentMissing(manifest: Manifest, parent: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_PARENT_MISSING",
    message: `backup ${manifest.id} builds on ${parent}, which is not there or whose manifest is damaged`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { backup: manifest.id, parent },
  });
}

function circular(manifest: Manifest): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id} builds on itself`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id },
  });
}
