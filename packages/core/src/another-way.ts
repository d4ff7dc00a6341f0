import { chosenBackup } from "./backup-chain.ts";
import type { ChosenRestore } from "./choose-restore.ts";
import type { RecoveryPlan } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import { isObjectDamage } from "./object-damage.ts";
import type { Repository } from "./repository.ts";
import type { RecoveryTarget } from "./window.ts";

/** A plan that does without a backup which turned out to be damaged, and what is to be told of that. */
export interface AnotherWay {
  readonly plan: RecoveryPlan;
  readonly finding: Finding;
}

/**
 * The way by the log to the same state from an older backup, where an object of the planned one is damaged or missing. Undefined
 * where there is none, where the backup itself is the target, and where the fault is another one: then the failure is to be told.
 * @param order what was asked for; a delta restore has no other way: some of its directory may be as the damaged backup has it
 * @param without the ids of those that turned out to be damaged before; this one's is added
 */
export async function anotherWay(
  order: {
    readonly repository: Repository;
    readonly timeline?: number | undefined;
    readonly delta?: boolean | undefined;
  },
  { engine, folder, plan, target }: ChosenRestore,
  { thrown, without }: { readonly thrown: unknown; readonly without: Set<string> },
): Promise<AnotherWay | undefined> {
  if (!isObjectDamage(thrown) || order.delta) return undefined;
  const object = String(thrown.details.object);
  const damaged = plan.backups.find(({ id }) => object.startsWith(`${folder.backupPath(id)}/`));
  if (!damaged) return undefined;
  without.add(damaged.id);
  const { manifests } = await order.repository.backups(folder);
  const planned = (asked: RecoveryTarget) =>
    engine.plan(folder, manifests, asked, { timeline: order.timeline, without });
  const finding = backupDamaged(chosenBackup(plan).id, thrown);
  const other = await planned(target).catch(noPlan);
  if (other && leadsAsFar(other, plan)) return { plan: other, finding };
  // One whose last commit is older leads to the same state all the same, where nothing was committed since.
  const end = endOf(plan);
  const same = end && (await planned(end).catch(noPlan));
  return same && { plan: same, finding };
}

/** What was damaged first is the reason. */
function noPlan(cause: unknown): undefined {
  if (!(cause instanceof LifeboatError)) throw cause;
}

/**
 * What is told once no way is left: what was damaged first, which would have been the shortest way, and then what was damaged last.
 * @param first undefined where there was but one way
 */
export function noWayLeft(first: unknown, last: unknown): unknown {
  if (!(first instanceof LifeboatError) || !isObjectDamage(last)) return last;
  const { code, kind, remedy, details } = first;
  const message = `${first.message}; by an older backup and the log it is not to be had either: ${last.message}`;
  return new LifeboatError({ code, kind, message, remedy, details, cause: last });
}

/** Meanwhile the log may have grown. */
function leadsAsFar(other: RecoveryPlan, plan: RecoveryPlan): boolean {
  if (other.timeline !== plan.timeline) return false;
  const [mine, theirs] = [plan.willRecoverTo, other.willRecoverTo];

  if (mine.time === null || theirs.time === null) return mine.lsn === theirs.lsn;
  return theirs.time >= mine.time;
}

/** Where a plan ends, as a target; undefined where the backup itself is meant, whatever the log holds. */
function endOf({ target, willRecoverTo: { time } }: RecoveryPlan): RecoveryTarget | undefined {
  const isOfLog = target.kind === "latest" || target.kind === "time";
  return isOfLog && time !== null
    ? { kind: "time", at: new Date(time), exclusive: false }
    : undefined;
}

function backupDamaged(id: string, damage: LifeboatError): Finding {
  return {
    id: "backup-damaged",
    severity: "warning",
    summary: `backup ${id} cannot be restored: ${damage.message}; an older one and the log lead to the same state`,
    remedy:
      "bring that object back from a copy of the repository, or take a new backup: lifeboat backup --type full",
  };
}
