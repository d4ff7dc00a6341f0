import {
  allObjects,
  type DatabaseFolder,
  isObjectDamage,
  type LogCheck,
  type Manifest,
  type Problem,
  type StoredObject,
} from "@lifeboat/core";
import { assertContentSizes } from "../snapshot/backup-content.ts";
import { assertFollows, LogChain, type Span } from "./chain.ts";
import { commitsOf, ExpectedCommits } from "./expected-commits.ts";
import { type LogWitnesses, logOf, lostOfLog } from "./lost-segments.ts";
import { parseLogName } from "./name.ts";
import { bytesOfWal, type SegmentNote, wrongLogObject } from "./note.ts";
import { type Lineages, type LogObject, lineagesOf, noteOf } from "./objects.ts";
import { locate, loggedBackup } from "./start.ts";
import { pageAt, pageNumberAt, pagesAfter, storedFrames } from "./stored-frames.ts";

/**
 * Reads the whole log in the repository: each object's digests and its note; that the objects of a
 * lineage follow one another; that a backup leads into it. `deep` also reads each frame, and proves the chain anew.
 * That a lineage ended and another began is no problem: windows show it.
 */
export async function checkLog(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  options: {
    readonly deep: boolean;
    readonly signal: AbortSignal;
    readonly witnesses: LogWitnesses;
  },
): Promise<LogCheck> {
  const foreign = await foreignObjects(folder);
  const problems: Problem[] = foreign.map(({ path }) => unknownObject(path));
  let [objects, bytes] = [foreign.length, foreign.reduce((sum, each) => sum + each.bytes, 0)];
  const lineages = await lineagesOf(folder);
  for (const [lineage, listed] of lineages) {
    const spans = new Map<LogObject, Span>();
    for (const object of listed) {
      options.signal.throwIfAborted();
      objects += 1;
      bytes += object.stored.bytes;
      const path = folder.logPath(object.name);
      const found: Problem[] = [];
      await gathering(found, path, async () => {
        const note = await noteOf(folder, object);
        const { first, last, chain } = note;
        spans.set(object, { lineage, first, last, chain });
        const content = whileWanted(folder.readLog(object.name, bytesOfWal(note)), options.signal);
        if (options.deep) await readDeeply(content, path, { kind: object.kind, note });
        else for await (const _ of content);
      });
      if (!(await wasMerged(folder, object, found))) problems.push(...found);
    }
    append(problems, chainProblems(folder, listed, spans));
  }
  append(problems, await lostOfLog(folder, backups, lineages, options.witnesses));
  append(problems, await startProblems(folder, backups, { lineages, known: problems }));
  return { objects, bytes, problems };
}

/** One by one: as arguments of one call, hundreds of thousands do not fit on the stack. */
function append(problems: Problem[], more: readonly Problem[]): void {
  for (const problem of more) problems.push(problem);
}

async function foreignObjects(folder: DatabaseFolder): Promise<StoredObject[]> {
  const root = `${folder.path}/wal/`;
  const foreign: StoredObject[] = [];
  for await (const stored of allObjects(folder.storage, root)) {
    const { path } = stored;
    const name = path.endsWith(".zst") ? path.slice(root.length, -".zst".length) : "";
    if (!parseLogName(name)) foreign.push(stored);
  }
  return foreign;
}

function unknownObject(path: string): Problem {
  return {
    object: path,
    code: "UNKNOWN_OBJECT",
    message: `${path} has no name of an object of SQLite's log: it was put there by something else, or by a newer Lifeboat`,
  };
}

/** Whether an object is gone because it was merged into another while we read. */
async function wasMerged(
  folder: DatabaseFolder,
  { lineage, first, last, name, kind }: LogObject,
  found: readonly Problem[],
): Promise<boolean> {
  if (!found.some(({ code }) => code === "OBJECT_MISSING")) return false;
  const now = (await lineagesOf(folder, `${lineage}/`)).get(lineage) ?? [];
  return now.some(
    (each) => each.kind === kind && each.name !== name && each.first <= first && last <= each.last,
  );
}

/** One object may be as large as a database, and whoever waits for it may leave. */
async function* whileWanted(
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    signal.throwIfAborted();
    yield chunk;
  }
}

async function readDeeply(
  content: AsyncIterable<Uint8Array>,
  path: string,
  { kind, note }: { readonly kind: LogObject["kind"]; readonly note: SegmentNote },
): Promise<void> {
  const { pageSize } = note;
  const chains = new ChainOfParts(note);
  const expected = new ExpectedCommits({ object: path, commits: commitsOf(note), cut: false });
  let frames = 0;
  for await (const run of storedFrames(content, { pageSize, object: path }))
    for (let at = 0; at < run.bytes.length; at += run.frameBytes) {
      chains.add(frames, pageNumberAt(run, at), pageAt(run, at));
      frames += 1;
      expected.pass(pagesAfter(run, at));
    }
  expected.end();
  if (kind === "frames" && chains.after() !== note.chain.after)
    throw wrongLogObject(path, "has other frames than its chain was made of");
}

/** The chain through the segments that an object consists of. */
class ChainOfParts {
  readonly #starts: ReadonlySet<number>;
  #chain: LogChain;

  constructor({ chain, parts }: SegmentNote) {
    this.#chain = new LogChain(chain.before);
    this.#starts = new Set(parts?.slice(1).map(([at]) => at));
  }

  add(frame: number, number: number, page: Uint8Array): void {
    if (this.#starts.has(frame)) this.#chain = new LogChain(this.#chain.after());
    this.#chain.add(number, page);
  }

  after(): string {
    return this.#chain.after();
  }
}

/** Each object against those that end where it begins. */
function chainProblems(
  folder: DatabaseFolder,
  listed: readonly LogObject[],
  spans: ReadonlyMap<LogObject, Span>,
): Problem[] {
  const problems: Problem[] = [];
  const byLast = new Map<number, Span>();
  for (const span of spans.values()) byLast.set(span.last, span);
  for (const object of listed) {
    const span = spans.get(object);
    if (!span) continue;
    const path = folder.logPath(object.name);
    try {
      assertFollows(span, byLast.get(span.first - 1), path);
    } catch (thrown) {
      problems.push(problemOf(thrown, path));
    }
  }
  return problems;
}

/** A lineage is of use only from a backup on. */
async function startProblems(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  { lineages, known }: { readonly lineages: Lineages; readonly known: readonly Problem[] },
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const named = new Set(known.map(({ message }) => message));
  const led = new Set(backups.map((each) => logOf(each)?.lineage));
  for (const lineage of lineages.keys())
    if (!led.has(lineage))
      problems.push({
        object: `${folder.path}/wal/${lineage}`,
        code: "LOG_WITHOUT_BACKUP",
        message: `${folder.path}/wal/${lineage} begins with no backup that is there: nothing can be restored from it`,
      });
  for (const manifest of backups) {
    const object = `${folder.backupPath(manifest.id)}/manifest.json`;
    await gathering(problems, object, async () => {
      assertContentSizes(manifest);
      const logged = loggedBackup(manifest, lineages);
      if (!logged?.objects.some(({ last }) => last >= logged.from)) return;
      // By a clock that was set back it lies elsewhere than its instant says, which is no damage.
      if (!(await locate(folder, logged, true)))
        throw wrongLogObject(
          object,
          "names a place in the log that lies in none of the segments there",
        );
    });
  }
  // An object of the log that the place would have been looked for in is named by itself.
  return problems.filter(({ message }) => !named.has(message));
}

async function gathering(
  problems: Problem[],
  object: string,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check();
  } catch (thrown) {
    problems.push(problemOf(thrown, object));
  }
}

/** Damage is what is looked for; a storage that cannot be reached ends the check. */
function problemOf(thrown: unknown, object: string): Problem {
  if (isObjectDamage(thrown, "MANIFEST_CORRUPT", "LOG_OBJECT_INVALID"))
    return { object, code: thrown.code, message: thrown.message };
  throw thrown;
}
