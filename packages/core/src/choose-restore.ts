import { chosenBackup } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine, Problem, RecoveryPlan } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { engineOf } from "./engine-of.ts";
import { LifeboatError } from "./errors.ts";
import { idOwning } from "./ids.ts";
import type { Manifest } from "./manifest.ts";
import { recordedLiveAt } from "./migration-record.ts";
import {
  assertReadable,
  mayLeadTo,
  noSuchBackup,
  nothingThere,
  unreadable,
  withManifestsMissing,
} from "./not-to-be-had.ts";
import type { Repository } from "./repository.ts";
import {
  outsideEveryWindow,
  type RecoveryTarget,
  type RecoveryWindow,
  windowHolds,
} from "./window.ts";

/** A database and the plan by which it will be restored. */
export interface ChosenRestore {
  readonly engine: Engine;
  readonly folder: DatabaseFolder;
  readonly plan: RecoveryPlan;
  /** What was asked of this database; the engine may have named it otherwise in the plan. */
  readonly target: RecoveryTarget;
}

interface Candidate {
  readonly engine: Engine;
  readonly folder: DatabaseFolder;
  readonly manifests: readonly Manifest[];
  readonly problems: readonly Problem[];
}

/**
 * Chooses what to restore for a target, before a byte is written. Without an engine the target
 * decides: a backup's id by whose it is; an instant by the engine that took the product's writes then, so that one command
 * serves before and after a cutover; a position by who has positions; else the live engine, where it is
 * known and has a backup, else whoever has the newest. All SQLite databases of an app
 * are restored together, and one Postgres cluster.
 */
export async function chooseRestore(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  readonly engine?: EngineKind | undefined;
  /** The engine that is live now; null where only the repository is known. */
  readonly live?: EngineKind | null;
  /** Only this database, of several. */
  readonly database?: string | undefined;
  readonly target: RecoveryTarget;
  readonly timeline?: number | undefined;
}): Promise<readonly [ChosenRestore, ...ChosenRestore[]]> {
  const { repository, target, timeline } = request;
  const candidates: Candidate[] = [];
  const folders = await repository.folders(request.engine);
  assertDatabaseKnown(request.database, folders);
  for (const folder of folders) {
    if (request.database !== undefined && folder.database !== request.database) continue;
    const engine = engineOf(request.engines, folder.engine);
    candidates.push({ engine, folder, ...(await repository.backups(folder)) });
  }
  const chosen: ChosenRestore[] = [];
  const ruling = { live: request.live ?? null, repository, databases: candidates };
  for (const candidate of await narrow(candidates, target, ruling)) {
    const { engine, folder, problems } = candidate;
    const own = chosen[0] ? await siblingTarget(candidate, target, chosen[0]) : target;
    const plan = await planFor(candidate, own, { repository, timeline });
    if (target.kind !== "backup") {
      const damaged = newerDamaged(problems, chosenBackup(plan));
      if (damaged && !(await isInWindow(candidate, own))) throw unreadable(damaged, plan);
    }
    chosen.push({ engine, folder, plan, target: own });
  }
  if (chosen.length === 0)
    throw await withManifestsMissing(nothingThere(repository, request.engine), {
      ...{ repository, databases: candidates },
      isMeant: () => true,
    });
  assertNamesDiffer(chosen);
  return chosen as [ChosenRestore, ...ChosenRestore[]];
}

/**
 * An instant applies to each of an app's databases whose windows hold it. One whose log ends before it wrote
 * nothing since, as far as is known, and comes back to its own last commit (which the report tells). Databases without
 * a log share a backup's id, and each holds an instant of its own: the first is chosen by the target, these by that id.
 */
async function siblingTarget(
  { engine, folder, manifests }: Candidate,
  target: RecoveryTarget,
  first: ChosenRestore,
): Promise<RecoveryTarget> {
  if (target.kind !== "time") return target;
  const { windows } = await engine.reach(folder, manifests);
  if (windows.some((window) => windowHolds(window, target.at))) return target;
  const { id } = chosenBackup(first.plan);
  const together = manifests.find((manifest) => manifest.id === id)?.consistentAt ?? "";
  const before = windows.findLast(({ to }) => Date.parse(to) <= target.at.getTime());
  return before && before.from < before.to && before.to >= together
    ? { ...target, at: new Date(before.to), exclusive: false }
    : { kind: "backup", id };
}

/** Two files of one name cannot lie in one directory: said before the first is restored. */
function assertNamesDiffer(chosen: readonly ChosenRestore[]): void {
  const names = chosen.map(({ plan }) => plan.fileName);
  const twice = names.find((name, index) => name !== null && names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new LifeboatError({
    code: "FILE_NAMES_CLASH",
    kind: "refused",
    message: `several databases of this app have the file name ${twice}, and would lie in one directory`,
    remedy: "restore them one by one with --database NAME (lifeboat list shows the names)",
    details: { fileName: twice },
  });
}

/** A target that cannot be had is explained by a manifest that is damaged or missing, where there is one. */
async function planFor(
  candidate: Candidate,
  target: RecoveryTarget,
  { repository, timeline }: { repository: Repository; timeline: number | undefined },
): Promise<RecoveryPlan> {
  const { engine, folder, manifests, problems } = candidate;
  if (target.kind === "backup")
    assertReadable(problems.find(({ object }) => object.includes(`/${target.id}/`)));
  try {
    return await engine.plan(folder, manifests, target, { timeline });
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError) || thrown.kind !== "not-found") throw thrown;
    assertReadable(problems.at(-1));
    if (target.kind !== "time") throw thrown;
    const isMeant = mayLeadTo(target.at);
    throw await withManifestsMissing(thrown, { repository, databases: [candidate], isMeant });
  }
}

interface Ruling {
  readonly live: EngineKind | null;
  readonly repository: Repository;
  /** All that the request meant, those without a backup too. */
  readonly databases: readonly Candidate[];
}

async function narrow(
  candidates: readonly Candidate[],
  target: RecoveryTarget,
  ruling: Ruling,
): Promise<readonly Candidate[]> {
  const { live, repository } = ruling;
  const withAny = candidates.filter(
    ({ manifests, problems }) => manifests.length + problems.length > 0,
  );
  if (target.kind === "backup") {
    const owners = withAny.filter(({ manifests, problems }) =>
      [...manifests.map(({ id }) => `/${id}/`), ...problems.map(({ object }) => object)].some(
        (text) => text.includes(`/${target.id}/`),
      ),
    );
    if (owners.length === 0)
      throw await withManifestsMissing(noSuchBackup(target.id), {
        ...{ repository, databases: candidates },
        isMeant: (id) => id === target.id,
      });
    return owners;
  }
  if (target.kind === "time") {
    if (new Set(withAny.map(({ engine }) => engine.kind)).size < 2)
      return holdersOf(withAny, target.at, ruling);
    const ruler = await rulerAt(repository, target.at);
    if (ruler === null) return holdersOf(withAny, target.at, ruling);
    return holdersOf(
      withAny.filter(({ engine }) => engine.kind === ruler),
      target.at,
      { ...ruling, live: ruler },
    );
  }
  const wanted = ["lsn", "xid", "restore-point"].includes(target.kind) ? "postgres" : live;
  const preferred = withAny.filter(({ engine }) => engine.kind === wanted);
  const newest = (preferred.length > 0 ? preferred : withAny).reduce<Candidate | undefined>(
    (best, each) => (best && newestId(best) >= newestId(each) ? best : each),
    undefined,
  );
  return newest ? siblingsOf(withAny, newest) : [];
}

/** A SQLite app is all its databases; a Postgres cluster stands for itself. */
function siblingsOf(candidates: readonly Candidate[], one: Candidate): readonly Candidate[] {
  if (one.engine.kind === "postgres") return [one];
  return candidates.filter(({ engine }) => engine === one.engine);
}

/**
 * Who took the product's writes then; null where nothing was recorded. Around a cutover both engines have windows: what the other one
 * holds is behind, or was never the product's.
 */
async function rulerAt(repository: Repository, at: Date): Promise<EngineKind | null> {
  const { records, problems } = await repository.migrationRecords();
  const [problem] = problems;
  if (problem)
    throw new LifeboatError({
      code: problem.code,
      kind: "usage",
      message: `which engine the product lived in then can't be told: ${problem.message}`,
      remedy: "name it by --engine, or bring this object back from a copy of the repository",
      details: { object: problem.object },
    });
  return recordedLiveAt(records, at);
}

/** Of several that hold the instant the preferred engine, then whoever has the newest backup. */
async function holdersOf(
  candidates: readonly Candidate[],
  at: Date,
  { live: preferred, repository, databases }: Ruling,
): Promise<readonly Candidate[]> {
  // One alone may know more than its windows say, explains better why not, and is asked once only: a watch that was stopped is silent.
  if (candidates.length === 1) return candidates;
  const windows: RecoveryWindow[] = [];
  const isPreferred = ({ engine }: Candidate) => Number(engine.kind === preferred);
  const sorted = [...candidates].sort(
    (a, b) => isPreferred(b) - isPreferred(a) || (newestId(a) < newestId(b) ? 1 : -1),
  );
  for (const candidate of sorted) {
    const { engine, folder, manifests } = candidate;
    const { windows: own } = await engine.reach(folder, manifests);
    const held = own.some((window) => windowHolds(window, at));
    if (held || (await engine.holdsIdle?.(folder, manifests, at)))
      return [candidate, ...siblingsOf(candidates, candidate).filter((each) => each !== candidate)];
    windows.push(...own);
  }
  for (const { problems } of candidates) assertReadable(problems.at(-1));
  const isMeant = mayLeadTo(at);
  throw await withManifestsMissing(outsideEveryWindow(at, windows), {
    repository,
    databases,
    isMeant,
  });
}

function newestId({ manifests, problems }: Candidate): string {
  const ids = problems.map(({ object }) => idOwning(object));
  return [...manifests.map(({ id }) => id), ...ids].sort().at(-1) ?? "";
}

/** A damaged backup newer than the base that would be taken may be the one that was meant. */
function newerDamaged(problems: readonly Problem[], base: Manifest): Problem | undefined {
  return problems.find(({ object }) => idOwning(object) > base.id);
}

/** Then the log leads from an older backup past the instant: whatever a damaged one holds, it holds nothing else of it. */
async function isInWindow(
  { engine, folder, manifests }: Candidate,
  target: RecoveryTarget,
): Promise<boolean> {
  if (target.kind !== "time") return false;
  const { windows } = await engine.reach(folder, manifests);
  return windows.some((window) => windowHolds(window, target.at));
}

/** A name that is mistyped must not look like a database without backups. */
function assertDatabaseKnown(name: string | undefined, folders: readonly DatabaseFolder[]): void {
  if (name === undefined || folders.length === 0) return;
  const known = folders.map(({ database }) => database);
  if (known.includes(name)) return;
  throw new LifeboatError({
    code: "DATABASE_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup of a database ${name}`,
    remedy: `there are ${known.join(", ")}`,
    details: { database: name, known },
  });
}
