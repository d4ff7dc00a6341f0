import { rm } from "node:fs/promises";
import { serverAccount } from "@lifeboat/postgres";
import { makeFolder } from "./folder.ts";
import { blank, line, misfortune } from "./narration.ts";
import type { Show } from "./show.ts";
import { stopSwitch } from "./stop-switch.ts";

/**
 * Sets the stage, plays, and clears the stage again however the play ends: nothing is left running.
 * After a signal nothing is left at all.
 * @returns the exit status: 0, 1 when something was not as it must be, 128 and more after a signal
 */
export async function perform(play: (show: Show) => Promise<void>): Promise<number> {
  const stop = stopSwitch();
  const cleanups: (() => Promise<void>)[] = [];
  const folder = await makeFolder(await serverAccount());
  cleanups.push(() => rm(folder.copies, { recursive: true }));
  const show: Show = {
    folder,
    signal: stop.signal,
    atEnd: (cleanup) => void cleanups.push(cleanup),
  };
  let failed = false;
  try {
    await play(show);
  } catch (thrown) {
    failed = true;
    misfortune(stop.status() === null ? storyOf(thrown) : "stopped; clearing up");
  }
  const cleared = await clear(cleanups);
  const stopped = stop.status();
  if (stopped !== null) {
    await rm(folder.path, { recursive: true });
    return stopped;
  }
  blank();
  line(`Nothing is left running. To clear up: rm -r ${folder.path}`);
  return failed || !cleared ? 1 : 0;
}

/** Runs every cleanup, the last one first, also after one has failed; says whether all went well. */
async function clear(cleanups: readonly (() => Promise<void>)[]): Promise<boolean> {
  let isClear = true;
  for (const cleanup of cleanups.toReversed()) {
    try {
      await cleanup();
    } catch (thrown) {
      isClear = false;
      misfortune(`could not clear up: ${storyOf(thrown)}`);
    }
  }
  return isClear;
}

function storyOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const remedy = "remedy" in thrown ? `\n${thrown.remedy}` : "";
  return `${thrown.message}${remedy}`;
}
