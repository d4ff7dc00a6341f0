import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { expectCleanPrefix, makeLedger, startWriter, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchProcess } from "../support/sqlite-watch.ts";

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
/** `npm run soak:sqlite` asks for more, and for two restores after each. */
const rounds = Number(process.env.ROUNDS ?? 30);
const restoreEvery = Number(process.env.RESTORE_EVERY ?? 6);

/** Numbers from 0 to 1 that a seed gives again (Lehmer's generator). */
function randomFrom(start: number): () => number {
  let state = (start % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

test(`writer and watch killed at any instant, in any order: every restore is a prefix, and a watch that ends in order has all (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  let writer = await startWriter(app.path, { rate: 400 });
  let watch = await WatchProcess.start(app);
  let shipped = 0;
  for (let round = 0; round < rounds; round++) {
    await sleep(random() * 400);
    if (random() < 0.5) {
      await writer.stop("SIGKILL");
      writer = await startWriter(app.path, { rate: 400 });
    } else {
      await watch.stop("SIGKILL");
      if (random() < 0.5) await sleep(random() * 300);
      watch = await WatchProcess.start(app);
    }
    if (round % restoreEvery !== 0) continue;
    const { path } = await app.restore(join(folder, `round-${round}`));
    const newest = expectCleanPrefix(path);
    expect(newest).toBeGreaterThanOrEqual(shipped);
    shipped = newest;
    const windows = (
      await app.engine.reach((await app.manifests()).folder, (await app.manifests()).manifests)
    ).windows;
    const { from, to } = windows[Math.floor(random() * windows.length)] as (typeof windows)[0];
    const instant = Date.parse(from) + random() * (Date.parse(to) - Date.parse(from));
    const target = { kind: "time", at: new Date(instant), exclusive: false } as const;
    expectCleanPrefix((await app.restore(join(folder, `at-${round}`), { target })).path);
  }
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  expect(await watch.stop()).toBe(0);
  const { path } = await app.restore(join(folder, "end"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
  expect((await app.verify(true)).problems).toEqual([]);
}, 400_000);
