import { chainProblems } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem, RecoveryPlan } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { idOwning, isLaterThan } from "./ids.ts";
import type { Manifest } from "./manifest.ts";
import { backupsThatLostTheirs } from "./manifests-missing.ts";
import type { Repository } from "./repository.ts";

/** @throws LifeboatError where a manifest cannot be read */
export function assertReadable(problem: Problem | undefined): void {
  if (problem) throw unreadable(problem);
}

/** @param without where the log leads without it, as far as it does */
export function unreadable(
  { code, message, object }: Problem,
  without?: RecoveryPlan,
): LifeboatError {
  const mend =
    code === "FORMAT_TOO_NEW"
      ? "use a newer Lifeboat"
      : "bring this object back from a copy of the repository";
  const upTo = without?.willRecoverTo.time;
  const log = upTo ? `, or what the log leads to without it: --at ${upTo}` : "";
  return new LifeboatError({
    code,
    message,
    remedy: `${mend}${log}, or choose an older backup by --backup ID (lifeboat list)`,
    details: { object },
  });
}

/** A backup that is asked for by its id, and is not there. */
export function noSuchBackup(id: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup ${id}`,
    remedy: "lifeboat list shows those there are",
    details: { id },
  });
}

/** Of an app, or of one of its engines, nothing lies in the repository. */
export function nothingThere(
  repository: Repository,
  engine: EngineKind | undefined,
): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no ${engine ? `${engine} ` : ""}backup of ${repository.app} in ${repository.storage.description}`,
    remedy: engine
      ? "leave --engine out, or take one with lifeboat backup"
      : "take one with lifeboat backup",
  });
}

/** What was read of a database's backups. */
interface BackupsRead {
  readonly folder: DatabaseFolder;
  readonly manifests: readonly Manifest[];
  readonly problems: readonly Problem[];
}

/**
 * A target that cannot be had, with what may be the cause: the newest of the backups that are meant of which data lies there and no
 * manifest, or that lacks what it builds on.
 */
export async function withManifestsMissing(
  refused: LifeboatError,
  {
    repository,
    databases,
    isMeant,
  }: {
    readonly repository: Repository;
    readonly databases: readonly BackupsRead[];
    readonly isMeant: (id: string) => boolean;
  },
): Promise<LifeboatError> {
  const lacking: Problem[] = [];
  for (const { folder, ...read } of databases) {
    lacking.push(...chainProblems(folder, read.manifests));
    lacking.push(...(await backupsThatLostTheirs(repository, folder, read)));
  }
  const cause = lacking.findLast(({ object }) => isMeant(idOwning(object)));
  if (!cause) return refused;
  const { code, kind, message, remedy, details } = refused;
  return new LifeboatError({
    ...{ code, kind },
    message: `${message}; ${cause.message}`,
    remedy: `bring what is missing back from a copy of the repository; or ${remedy}`,
    details: { ...details, object: cause.object },
  });
}

/** Whether a backup of this id may hold what leads to an instant. */
export function mayLeadTo(at: Date): (id: string) => boolean {
  return (id) => !isLaterThan(id, at);
}
