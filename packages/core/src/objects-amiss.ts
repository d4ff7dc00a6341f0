import { backupChain } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { allObjects } from "./listing.ts";
import type { Manifest, ManifestObject } from "./manifest.ts";

/** Objects that a backup is restored without, and what they are for. */
const NOT_RESTORED: ReadonlyMap<string, string> = new Map([
  [
    "page-hashes",
    "no restore needs it, only an incremental backup on top of this one, which becomes a full one without it",
  ],
  ["ranges", "no restore needs it but one with --delta"],
]);

/** What is to be added where an object of this role is damaged: nothing where its backup can't be restored without it. */
export function unneeded({ role }: Pick<ManifestObject, "role">): string | undefined {
  return NOT_RESTORED.get(role);
}

/** An object of a backup that is not as it was stored. */
export interface Amiss extends Problem {
  readonly backup: Manifest;
  /** Whether the backup can't be restored without it. */
  readonly isNeeded: boolean;
}

/**
 * What of these backups is not there, or has other bytes than its manifest says. A listing tells so much; whether it is what was
 * stored only a look at every byte (`verify.ts`).
 */
export async function objectsAmiss(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<Amiss[]> {
  const amiss: Amiss[] = [];
  const found = new Map<string, number>();
  for await (const { path, bytes } of allObjects(folder.storage, `${folder.path}/backups/`))
    found.set(path, bytes);
  for (const backup of backups)
    for (const each of backup.objects) {
      const object = folder.objectPath(backup, each);
      const bytes = found.get(object);
      const note = unneeded(each);
      const tell = (code: string, what: string) => {
        const message = `${object} ${what}${note ? `; ${note}` : ""}`;
        amiss.push({ object, backup, isNeeded: note === undefined, code, message });
      };
      if (bytes === undefined) tell("OBJECT_MISSING", "is missing");
      else if (bytes !== each.stored.bytes)
        tell("CHECKSUM_MISMATCH", `has ${bytes} bytes instead of ${each.stored.bytes}`);
    }
  return amiss;
}

/**
 * Told by `status` of the newest backup of a database with all that it builds on, and of the others.
 * @param whole those that lack no manifest, oldest first
 */
export function backupsAmiss(
  { database }: DatabaseFolder,
  whole: readonly Manifest[],
  amiss: readonly Amiss[],
): Finding[] {
  const newest = whole.at(-1);
  const chain = new Set(newest ? backupChain(newest, whole) : []);
  const [own, older] = [true, false].map((isOwn) =>
    amiss.filter(({ backup }) => chain.has(backup) === isOwn),
  ) as [Amiss[], Amiss[]];
  const found: Finding[] = [];
  if (own.length > 0)
    found.push({
      id: "backup-damaged",
      severity: "error",
      summary: `the newest backup of ${database}, ${newest?.id}, is not whole: ${inWords(own)}`,
      remedy:
        "bring that back from a copy of the repository, or take a new one: lifeboat backup --type full",
    });
  if (older.length > 0)
    found.push({
      id: "older-backup-damaged",
      severity: "warning",
      summary: `of ${database} an older backup is not whole: ${inWords(older)}`,
      remedy:
        "bring that back from a copy of the repository; without it lifeboat list shows what can be restored",
    });
  return found;
}

function inWords([first, ...more]: readonly Amiss[]): string {
  const others =
    more.length > 0 ? `, and ${more.length} more objects are not as they were stored` : "";
  return `${first?.message}${others}`;
}
