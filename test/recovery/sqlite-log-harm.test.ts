import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  allObjects,
  LifeboatError,
  Repository,
  RepositoryMemory,
  type Storage,
} from "@lifeboat/core";
import { CompactionState, compactLog, sqliteEngine } from "@lifeboat/sqlite";
import { memoryStorage } from "@lifeboat/storage";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history, type State } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const SEGMENTS = 8;
const STEP_MS = 20_000;

interface Shipped {
  readonly objects: ReadonlyMap<string, Buffer>;
  /** Of the log, in order. */
  readonly log: readonly string[];
  /** What the database held at the instants that a restore may name. */
  readonly dumps: ReadonlyMap<number, string>;
  readonly instants: readonly number[];
}

/** A backup and a log of some segments, each with a state of its own; merged where that is asked for. */
async function shipped(merged: boolean): Promise<Shipped> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { pageSize: 512, rows: 3 });
  const recorder = await Recorder.begin(app);
  const start = (Math.floor(Date.now() / 3_600_000) + 1) * 3_600_000;
  let now = start;
  recorder.clock = () => now;
  const states: State[] = [];
  for (let n = 1; n <= SEGMENTS; n++) {
    now = start + n * STEP_MS;
    const sql = `UPDATE counter SET v = ${n}; CREATE TABLE t${n} AS SELECT ${n} AS n, randomblob(900) AS b`;
    states.push(...(await history(app, [sql], { recorder })).states);
  }
  if (merged)
    await compactLog(recorder.folder, recorder.lineage, new CompactionState(), start + 9_000_000);
  const { manifests } = await app.manifests();
  const base = await app.restore(join(folder, "base"), { target: { kind: "immediate" } });
  const dumps = new Map(states.map(({ at, dump }) => [at, dump]));
  dumps.set(Date.parse(manifests[0]?.consistentAt as string), dumpOf(base.path));
  const objects = new Map<string, Buffer>();
  const { storage } = recorder.folder;
  for await (const { path } of allObjects(storage, ""))
    objects.set(path, Buffer.concat(await Array.fromAsync(storage.read(path))));
  const log = [...objects.keys()].filter((path) => path.includes("/wal/")).sort();
  return { objects, log, dumps, instants: [...dumps.keys()].sort((a, b) => a - b) };
}

const any = fc.nat(1_000_000);
const harm = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), which: any, at: any }),
  fc.record({ kind: fc.constant("cut" as const), which: any, at: any }),
  fc.record({ kind: fc.constant("remove" as const), which: any }),
  fc.record({ kind: fc.constant("repeat" as const), which: any, at: any }),
  fc.record({ kind: fc.constant("swap" as const), which: any, at: any }),
  fc.record({ kind: fc.constant("foreign" as const), which: any }),
);
type Harm = typeof harm extends fc.Arbitrary<infer T> ? T : never;

/** The objects as they lie once somebody was at them. `other` is another database's log of the same shape. */
function harmed({ objects, log }: Shipped, other: Shipped, harms: readonly Harm[]) {
  const found = new Map(objects);
  for (const how of harms) {
    const path = log[how.which % log.length] as string;
    const bytes = found.get(path);
    if (!bytes) continue;
    if (how.kind === "remove") found.delete(path);
    else if (how.kind === "cut") found.set(path, bytes.subarray(0, how.at % bytes.length));
    else if (how.kind === "flip") {
      const flipped = Buffer.from(bytes);
      const at = how.at % bytes.length;
      flipped[at] = (flipped[at] as number) ^ (1 << (how.at & 7));
      found.set(path, flipped);
    } else if (how.kind === "foreign") {
      const theirs = other.log[how.which % other.log.length] as string;
      found.set(path, other.objects.get(theirs) as Buffer);
    } else {
      const second = log[how.at % log.length] as string;
      const bytesOfSecond = found.get(second) ?? bytes;
      found.set(second, bytes);
      if (how.kind === "swap") found.set(path, bytesOfSecond);
    }
  }
  return found;
}

async function storageOf(objects: ReadonlyMap<string, Buffer>): Promise<Storage> {
  const storage = memoryStorage();
  for (const [path, bytes] of objects) await storage.create(path, bytes);
  return storage;
}

test.each([false, true])(
  "whatever was done to objects of the log, a restore gives the very state of the instant that it names, or refuses (merged: %s)",
  async (merged) => {
    const [own, other] = [await shipped(merged), await shipped(merged)];
    const folder = await testFolder();
    const engine = sqliteEngine({ databases: [] });
    const signal = new AbortController().signal;
    let [right, refused] = [0, 0];
    const restored = async (storage: Storage, at: number | undefined) => {
      const memory = new RepositoryMemory(join(folder, "memory"));
      const repository = await Repository.open({ storage, app: "product", memory, mode: "read" });
      const place = repository.folder("sqlite", "app");
      const { manifests } = await repository.backups(place);
      const target =
        at === undefined
          ? ({ kind: "latest" } as const)
          : ({ kind: "time", at: new Date(at), exclusive: false } as const);
      const plan = await engine.plan(place, manifests, target, {});
      const to = join(folder, "copy");
      const copy = await engine.restore({
        ...{ folder: place, plan, to, signal, report: () => {}, force: false, fetchCommand: [] },
        ...{ tablespaceMapping: new Map(), tablespaceRoot: null, skipCheck: true },
      });
      const found = { at: Date.parse(copy.recoveredTo as string), dump: dumpOf(copy.path) };
      await rm(to, { recursive: true });
      return found;
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(harm, { minLength: 1, maxLength: 3 }),
        fc.option(fc.nat(SEGMENTS), { nil: undefined }),
        async (harms, nth) => {
          const storage = await storageOf(harmed(own, other, harms));
          const at = nth === undefined ? undefined : own.instants[nth];
          try {
            const found = await restored(storage, at);
            expect(own.dumps.get(found.at)).toBe(found.dump);
            // An instant that was asked for is that one, and never one before it.
            if (at !== undefined) expect(found.at).toBe(at);
            right += 1;
          } catch (thrown) {
            if (!(thrown instanceof LifeboatError)) throw thrown;
            refused += 1;
          }
        },
      ),
      { numRuns: 80 },
    );
    // Both happen: else the test proves nothing.
    expect(Math.min(right, refused)).toBeGreaterThan(0);
  },
);
