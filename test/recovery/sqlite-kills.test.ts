import { readdir, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { processesWithOpen } from "../../packages/sqlite/src/examine/in-use.ts";
import {
  expectBetween,
  expectCleanPrefix,
  heard,
  isThere,
  makeLedger,
  type Process,
  startScript,
  startWriter,
  testFolder,
  until,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** Numbers from 0 to 1 that a seed gives again (Lehmer's generator). */
function randomFrom(start: number): () => number {
  let state = (start % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** A database that takes some hundred milliseconds to back up. */
async function sizeableApp(): Promise<SqliteApp> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { rows: 8000 });
  return app;
}

async function leftovers(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith(".lifeboat-"));
}

test(`a backup killed at any instant hurts nothing, and the next one cleans up (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const app = await sizeableApp();
  const writer = await startWriter(app.path, { rate: 300 });
  let leftSomething = 0;
  for (let round = 0; round < 10; round++) {
    const run = startScript("sqlite-run.ts", [app.folder, app.path, "backup"]);
    await heard(run, "started");
    // Every other round surely meets the copy, at an instant of its own; the others anything.
    if (round % 2 === 0) await copying(app.folder, run);
    await sleep(random() * (round % 2 === 0 ? 60 : 350));
    await run.kill();
    // The process that copies ends by itself when its parent is gone, and lets go of the file.
    await until(async () => (await processesWithOpen(app.path)).join() === `${writer.pid}`);
    leftSomething += (await leftovers(app.folder)).length > 0 ? 1 : 0;
  }
  const before = await writer.acknowledged();
  await app.backup();
  const after = await writer.acknowledged();
  expect(await leftovers(app.folder)).toEqual([]);
  const { path } = await app.restore(join(app.folder, "restored"));
  expectBetween(expectCleanPrefix(path), before, after);
  expect(leftSomething, "no kill met a copy: the test proves nothing").toBeGreaterThan(0);
});

test("the process that copies, killed at any instant, ends the backup with a word and leaves nothing", async () => {
  const app = await sizeableApp();
  const writer = await startWriter(app.path, { rate: 300 });
  let interrupted = 0;
  for (let round = 0; round < 10; round++) {
    const outcome = app.backup().then(
      () => "done",
      (thrown) => thrown.code,
    );
    // The first ones are met at their start, the others in their work.
    await killReader(outcome, round * 8);
    const code = await outcome;
    expect(["done", "COPY_INTERRUPTED"]).toContain(code);
    interrupted += code === "done" ? 0 : 1;
    expect(await leftovers(app.folder)).toEqual([]);
    await expect.poll(() => processesWithOpen(app.path)).toEqual([writer.pid]);
  }
  expect(interrupted).toBeGreaterThan(0);
  await app.backup();
  const { path } = await app.restore(join(app.folder, "restored"));
  expectCleanPrefix(path);
});

test(`a restore killed at any instant leaves no file or a whole one, and the next one cleans up (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const app = await sizeableApp();
  await app.backup();
  const to = join(app.folder, "restored");
  for (let round = 0; round < 10; round++) {
    const run = startScript("sqlite-run.ts", [app.folder, app.path, "restore", to]);
    await heard(run, "started");
    await sleep(random() * 250);
    await run.kill();
    if (await isThere(join(to, "app.db"))) break;
  }
  if (!(await isThere(join(to, "app.db")))) await app.restore(to);
  expect(expectCleanPrefix(join(to, "app.db"))).toBe(8000);
  await app.restore(to, { force: true });
  expect(await readdir(to)).toEqual(["app.db"]);
  expect((await stat(to)).mode & 0o777).toBe(0o700);
});

test("nothing of a killed run stays in the temporary folder", async () => {
  const app = await sizeableApp();
  const ofTheDead = async () => {
    // Other tests kill theirs just now: each backup clears away what there was by then.
    await app.backup();
    const dead: string[] = [];
    for (const name of await leftovers(tmpdir())) {
      const pid = /^\.lifeboat-[0-9a-f]+-(\d+)-/.exec(name)?.[1];
      if (!(await isThere(`/proc/${pid}`))) dead.push(name);
    }
    return dead;
  };
  await expect.poll(ofTheDead).toEqual([]);
});

/** Waits until a run has made its scratch folder, or ended. */
async function copying(folder: string, { child }: Process): Promise<void> {
  const own = async () => (await leftovers(folder)).some((name) => name.includes(`-${child.pid}-`));
  await until(async () => child.exitCode !== null || (await own()));
}

/** Of a backup that is under way; one that has ended is too late. */
async function killReader(backup: Promise<unknown>, afterMilliseconds: number): Promise<void> {
  let pid: number | undefined;
  let isOver = false;
  void backup.then(() => {
    isOver = true;
  });
  await until(async () => {
    pid = await readerOf(process.pid);
    return pid !== undefined || isOver;
  });
  await sleep(afterMilliseconds);
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch (thrown) {
    // It had ended already: this round was too late.
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}

/** The child of a process that runs the raw reader. */
async function readerOf(parent: number): Promise<number | undefined> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string) => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "");
    if (!(await read("cmdline")).includes("raw-reader-child")) continue;
    if ((await read("stat")).split(") ")[1]?.split(" ")[1] === `${parent}`) return Number(name);
  }
  return undefined;
}
