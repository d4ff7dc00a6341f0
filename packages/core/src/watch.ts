import { backup } from "./backup.ts";
import { byChain } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { type Lock, letGoOf } from "./lock.ts";
import type { BackupType, Manifest } from "./manifest.ts";
import { type Report, runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import type { WatchNotes } from "./watch-notes.ts";

export interface WatchOrder {
  readonly repository: Repository;
  readonly engine: Engine;
  readonly notes: WatchNotes;
  /** Takes what belongs into a log, such as that nothing can be shipped. */
  readonly log?: (line: string) => void;
  /** Ends it in order. */
  readonly signal: AbortSignal;
  readonly run?: StepRunner;
}

export interface WatchReport {
  readonly app: string;
  readonly engine: EngineKind;
  readonly databases: readonly string[];
  readonly startedAt: string;
  readonly finishedAt: string;
}

/**
 * Ships the log of every database of the live engine until the signal aborts. Where one cannot go
 * on, the others ship what they have and it ends: a service manager starts it again, and somebody
 * hears of it.
 * @throws LifeboatError kind `locked` while another watch of one of these databases runs
 */
export async function watch(order: WatchOrder): Promise<WatchReport> {
  const { repository, engine, run = runSteps } = order;
  const startedAt = new Date().toISOString();
  const folders = (await engine.databases()).map((name) => repository.folder(engine.kind, name));
  const locks: Lock[] = [];
  try {
    for (const folder of folders)
      locks.push(
        await repository.lock(watchLockName(folder), `watch of ${folder.database}`, {
          quiet: true,
          signal: order.signal,
        }),
      );
    await run([
      {
        title: `ship the log of ${folders.map(({ database }) => database).join(", ")}`,
        run: (report) => shipAll(order, folders, report),
      },
    ]);
  } finally {
    await letGoOf(locks, order.signal);
  }
  return {
    app: repository.app,
    engine: engine.kind,
    databases: folders.map(({ database }) => database),
    startedAt,
    finishedAt: new Date().toISOString(),
  };
}

/** The lock under which one database's log is shipped. */
export function watchLockName(folder: DatabaseFolder): string {
  return `watch-${folder.engine}-${folder.database}`;
}

async function shipAll(
  order: WatchOrder,
  folders: readonly DatabaseFolder[],
  report: Report,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([order.signal, failed.signal]);
  const outcomes = await Promise.allSettled(
    folders.map(async (folder) => {
      try {
        await ship(order, folder, { report, signal });
      } catch (thrown) {
        failed.abort(thrown);
        throw thrown;
      }
    }),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw failed.signal.reason;
}

async function ship(
  { repository, engine, notes, log = () => {} }: WatchOrder,
  folder: DatabaseFolder,
  { report, signal }: { readonly report: Report; readonly signal: AbortSignal },
): Promise<void> {
  await engine.watch({
    folder,
    backup: (type) => backUp({ repository, engine, folder, type, signal }),
    // What is shipped behind one that lacks what it builds on could never be restored.
    backups: async () => byChain((await repository.backups(folder)).manifests).whole,
    note: (facts) => notes.write(folder, facts),
    log,
    report,
    signal,
  });
}

async function backUp(what: {
  readonly repository: Repository;
  readonly engine: Engine;
  readonly folder: DatabaseFolder;
  readonly type: BackupType;
  readonly signal: AbortSignal;
}): Promise<Manifest> {
  const { repository, folder } = what;
  const { id } = await backup({ ...what, databases: [folder.database], options: {} });
  const { manifests } = await repository.backups(folder);
  const manifest = manifests.find((each) => each.id === id);
  if (!manifest) throw new Error(`backup ${id} was written and is not there`);
  return manifest;
}
