import type { DatabaseFolder } from "@lifeboat/core";
import { coverOf } from "../log/cover.ts";
import type { CompactionState, NamedObject } from "./compaction-state.ts";
import { mergeFrames } from "./merge-frames.ts";
import { mergePages } from "./merge-pages.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** So long after its end a span may still get a segment: one is under way when it ends. */
const SETTLES_MS = 10_000;

/** What one call did. */
export interface Compacted {
  readonly merged: number;
  readonly removed: number;
}

/**
 * Makes few objects of many. The segments of a minute that is over become one, with all their
 * instants. Those of an hour, and of a day, get beside them one with each page's newest version, by
 * which a restore skips over the span. What is merged is durable before a part is removed: a kill at
 * any instant leaves spans that overlap, which readers take as they are and the next call clears up.
 *
 * @param state of this lineage: a call that has nothing to do asks the storage nothing
 * @param now in ms
 */
export async function compactLog(
  folder: DatabaseFolder,
  lineage: string,
  state: CompactionState,
  now: number = Date.now(),
): Promise<Compacted> {
  await state.load(folder, lineage);
  const before = state.count;
  let removed = await removeCovered(folder, state);
  for (const run of runsOf(state.frames(), { unit: MINUTE, now }))
    if (run.length > 1 && state.isNew("minute", run)) {
      for (const name of await mergeFrames(folder, run)) state.shipped(name);
      removed += await removeCovered(folder, state);
    }
  for (const [level, unit] of [
    ["hour", HOUR],
    ["day", DAY],
  ] as const)
    for (const run of runsOf(state.frames(), { unit, now })) {
      if (run.length < 2 || !state.isNew(level, run)) continue;
      state.shipped(await mergePages(folder, skippingOver(state, run)));
    }
  return { merged: state.count - before + removed, removed };
}

/** Runs of segments without a hole whose last commits lie in one span of time that is over. */
function runsOf(
  objects: readonly NamedObject[],
  { unit, now }: { readonly unit: number; readonly now: number },
): NamedObject[][] {
  const runs: NamedObject[][] = [];
  const spanOf = ({ instant }: NamedObject) => Math.floor(instant / unit);
  for (const object of objects) {
    if ((spanOf(object) + 1) * unit + SETTLES_MS > now) continue;
    const run = runs.at(-1);
    const before = run?.at(-1);
    const follows = before && before.last + 1 === object.first && spanOf(before) === spanOf(object);
    if (run && follows) run.push(object);
    else runs.push([object]);
  }
  return runs;
}

/** The fewest objects that lead through a run: summaries of hours in place of their minutes. */
function skippingOver(state: CompactionState, run: readonly NamedObject[]): readonly NamedObject[] {
  const [first, last] = [run[0] as NamedObject, run.at(-1) as NamedObject];
  const within = state.all().filter((each) => each.first >= first.first && each.last <= last.last);
  return coverOf(within, first.first, () => true).whole;
}

/** Removes what lies whole in another object that has all its instants. */
async function removeCovered(folder: DatabaseFolder, state: CompactionState): Promise<number> {
  let removed = 0;
  let widest: NamedObject | undefined;
  // By their first number, wider ones first: whoever lies in another comes after it.
  for (const object of state.frames()) {
    if (widest && object.last <= widest.last) {
      await folder.removeLog(object.name);
      state.removed(object.name);
      removed += 1;
    } else widest = object;
  }
  return removed;
}
