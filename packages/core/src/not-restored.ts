import type { ChosenRestore } from "./choose-restore.ts";
import type { EngineKind } from "./engine-kind.ts";
import { configuredDatabases } from "./engine-of.ts";
import type { Finding } from "./finding.ts";
import { idOwning } from "./ids.ts";
import { BRING_BACK, backupsThatLostTheirs } from "./manifests-missing.ts";
import { mayLeadTo } from "./not-to-be-had.ts";
import type { Repository } from "./repository.ts";
import type { RecoveryTarget } from "./window.ts";

interface Order {
  readonly repository: Repository;
  readonly live?: EngineKind | null;
  readonly database?: string | undefined;
  readonly target: RecoveryTarget;
}

/**
 * Databases of which nothing comes: who is told of the others alone takes all for restored. Those that are configured, and, since a
 * configuration may be gone with its host, those of which the repository holds data that has lost its manifest.
 */
export async function notRestored(
  { repository, live, database, target }: Order,
  choices: readonly ChosenRestore[],
): Promise<Finding[]> {
  const [{ engine }] = choices as readonly [ChosenRestore];
  if (engine.kind !== "sqlite" || database !== undefined) return [];
  const chosen = new Set(choices.map(({ folder }) => folder.database));
  const isMeant = meantBy(target);
  const findings = new Map<string, Finding>();
  const tell = (name: string, summary: string, remedy: string) =>
    findings.set(name, { id: "database-not-restored", severity: "warning", summary, remedy });
  const where = target.kind === "backup" ? `backup ${target.id}` : "the repository";
  for (const name of live === engine.kind ? await configuredDatabases(engine) : [])
    if (!chosen.has(name))
      tell(
        name,
        `${name} is configured too and was not restored: ${where} holds no backup of it`,
        "take one of all databases with lifeboat backup",
      );
  for (const folder of await repository.folders(engine.kind)) {
    if (chosen.has(folder.database)) continue;
    const read = await repository.backups(folder);
    const missing = await backupsThatLostTheirs(repository, folder, read);
    const cause = missing.findLast(({ object }) => isMeant(idOwning(object)));
    if (!cause) continue;
    tell(folder.database, `${folder.database} was not restored: ${cause.message}`, BRING_BACK);
  }
  return [...findings.values()];
}

function meantBy(target: RecoveryTarget): (id: string) => boolean {
  if (target.kind === "backup") return (id) => id === target.id;
  return target.kind === "time" ? mayLeadTo(target.at) : () => true;
}
