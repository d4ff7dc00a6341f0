import type { DatabaseFolder } from "./database-folder.ts";
import type { Dump, DumpSource } from "./dump-source.ts";
import { LifeboatError } from "./errors.ts";
import { writeCompressedFile } from "./export-file.ts";
import { type ExportManifest, type ExportSummary, exportSummary } from "./export-manifest.ts";
import {
  exportIds,
  exportLockName,
  exportsIn,
  removeUnfinishedExports,
  writeExportManifest,
} from "./exports.ts";
import type { Finding } from "./finding.ts";
import { idAt } from "./ids.ts";
import type { Lock } from "./lock.ts";
import type { ManifestObject } from "./manifest.ts";
import { type Report, runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { markUnfinished, markWhatIsLeft, removeMark } from "./unfinished-mark.ts";
import { TOOL } from "./version.ts";

export interface ExportReport extends ExportSummary {
  /** Where the dump was written, when that is a file of its own. */
  readonly path?: string;
  readonly findings: readonly Finding[];
}

interface Work {
  readonly source: DumpSource;
  readonly signal: AbortSignal;
  readonly run?: StepRunner;
}

/**
 * Dumps a database into the repository. The manifest is written last: until then, and after any
 * failure, the export does not exist and nothing of it stays.
 * @throws LifeboatError kind `locked` while another export of this cluster runs
 */
export async function exportToRepository(
  request: Work & { readonly repository: Repository },
): Promise<ExportReport> {
  const { repository, source, signal, run = runSteps } = request;
  const folder = repository.folder(source.engine, await source.folderName());
  let lock: Lock | undefined;
  let id = "";
  let dump: Dump | undefined;
  let objects: ManifestObject[] = [];
  let manifest: ExportManifest | undefined;
  try {
    await run([
      {
        title: "take the lock",
        run: async () => {
          lock = await repository.lock(exportLockName(folder), `export of ${folder.database}`, {
            signal,
          });
          await removeUnfinishedExports(folder);
          id = await freeId(folder);
          await markUnfinished(folder, id);
        },
      },
      {
        title: "dump the database",
        run: async (report) => {
          dump = await source.dump({ report, signal });
        },
      },
      {
        title: "store the dump",
        run: async (report) => {
          objects = await storePieces(folder, id, dump as Dump, { report, signal });
        },
      },
      {
        title: "write the manifest",
        run: async () => {
          signal.throwIfAborted();
          if (!(await lock?.isHeld())) throw lockLost(folder);
          manifest = manifestOf({ folder, id, objects }, dump as Dump);
          await writeExportManifest(folder, manifest);
          // Where it stays, the next run finds the manifest, and removes it.
          await quietly(() => removeMark(folder, id));
        },
      },
    ]);
  } catch (cause) {
    await quietly(async () => {
      if (!lock) return;
      if (!(await lock.isHeld())) return await markWhatIsLeft(folder, exportsIn(folder), id);
      await removeUnfinishedExports(folder);
      await removeMark(folder, id);
    });
    await quietly(async () => dump?.close());
    await quietly(async () => lock?.release());
    throw cause;
  }
  await dump?.close();
  await lock?.release();
  return { ...exportSummary(manifest as ExportManifest), findings: dump?.findings ?? [] };
}

/**
 * Dumps a database into a file of its own: one tar, compressed with zstd. It has its name only when
 * it is whole and durable, and takes no other's place.
 * @throws LifeboatError `TARGET_NOT_EMPTY` (kind `refused`) when something lies there
 */
export async function exportToFile(
  request: Work & { readonly app: string; readonly path: string; readonly level: number },
): Promise<ExportReport> {
  const { app, path, level, source, signal, run = runSteps } = request;
  let dump: Dump | undefined;
  let storedBytes = 0;
  try {
    await run([
      {
        title: "dump the database",
        run: async (report) => {
          dump = await source.dump({ report, signal });
        },
      },
      {
        title: `write ${path}`,
        run: async (report) => {
          const taken = dump as Dump;
          const totalBytes = taken.bytes;
          const content = reported(taken.archive(), { report, signal, totalBytes });
          storedBytes = await writeCompressedFile(path, content, level);
        },
      },
    ]);
  } catch (cause) {
    await quietly(async () => dump?.close());
    throw cause;
  }
  await dump?.close();
  const { facts, bytes, findings } = dump as unknown as Dump;
  const summary = { id: idOf(new Date(facts.startedAt)), app, ...facts };
  return { ...summary, sourceBytes: bytes, storedBytes, path, findings };
}

async function storePieces(
  folder: DatabaseFolder,
  id: string,
  dump: Dump,
  work: { readonly report: Report; readonly signal: AbortSignal },
): Promise<ManifestObject[]> {
  const objects: ManifestObject[] = [];
  const progress = { ...work, totalBytes: dump.bytes };
  let bytes = 0;
  for (const { name, role, content } of dump.pieces()) {
    const passing = reported(content, progress, bytes);
    const object = await folder.storeExportObject(id, name, role, passing);
    objects.push(object);
    bytes += object.content.bytes;
  }
  return objects;
}

async function* reported(
  content: AsyncIterable<Uint8Array>,
  how: { readonly report: Report; readonly signal: AbortSignal; readonly totalBytes: number },
  before = 0,
): AsyncGenerator<Uint8Array> {
  const { report, signal, totalBytes } = how;
  let bytes = before;
  for await (const chunk of content) {
    signal.throwIfAborted();
    bytes += chunk.length;
    // The tar's own headers count for nothing.
    report({ bytes: Math.min(bytes, totalBytes), totalBytes });
    yield chunk;
  }
}

function manifestOf(
  what: { folder: DatabaseFolder; id: string; objects: readonly ManifestObject[] },
  { facts }: Dump,
): ExportManifest {
  const { folder, id, objects } = what;
  const sum = (side: "content" | "stored") =>
    objects.reduce((bytes, object) => bytes + object[side].bytes, 0);
  return {
    format: 1,
    id,
    app: folder.app,
    engine: "postgres",
    system: folder.database,
    ...facts,
    sourceBytes: sum("content"),
    storedBytes: sum("stored"),
    tool: TOOL,
    objects,
  };
}

/** The present instant as an id that nothing bears yet. */
async function freeId(folder: DatabaseFolder): Promise<string> {
  const taken = new Set(await exportIds(folder));
  for (;;) {
    const id = idOf(new Date());
    if (!taken.has(id)) return id;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function idOf(instant: Date): string {
  return `${idAt(instant)}-export`;
}

function lockLost({ path }: DatabaseFolder): LifeboatError {
  return new LifeboatError({
    code: "LOCK_LOST",
    message: `another run took over the lock of ${path}: this one stood still, or could not reach the storage, for longer than its lease`,
    remedy:
      "no manifest was written, so this export does not exist: run it again, which also removes what is left of it",
  });
}

/** Why the run failed must not be hidden by a clean-up that fails too: the next run does it again. */
async function quietly(cleanUp: () => Promise<void>): Promise<void> {
  await cleanUp().catch(() => {});
}
