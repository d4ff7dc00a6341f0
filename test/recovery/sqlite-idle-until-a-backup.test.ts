import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { ledgerApp } from "../support/ledger-app.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

/** A log of two commits that goes on. */
async function loggedApp() {
  const app = await ledgerApp();
  const statements = ["UPDATE counter SET v = 1", "UPDATE counter SET v = 2"];
  return { app, ...(await history(app, statements)) };
}

/** A backup, and an instant between it and all that came before. */
async function laterBackup(app: SqliteApp): Promise<{ between: Date; at: string }> {
  const between = new Date(Date.now() + 2);
  await expect.poll(() => Date.now()).toBeGreaterThan(between.getTime() + 1);
  await app.backup();
  const at = (await app.manifests()).manifests.at(-1)?.consistentAt as string;
  expect(Date.parse(at)).toBeGreaterThan(between.getTime());
  return { between, at };
}

async function windowsOf(app: SqliteApp): Promise<[string, string][]> {
  const { folder, manifests } = await app.manifests();
  const { windows } = await app.engine.reach(folder, manifests);
  return windows.map(({ from, to }) => [from, to]);
}

let copies = 0;
function restoreAt(app: SqliteApp, at: Date) {
  const target = { kind: "time", at, exclusive: false } as const;
  return app.restore(join(app.folder, `copy-${copies++}`), { target });
}

function commitUnseen(app: SqliteApp): void {
  const database = new Database(app.path);
  database.pragma("wal_autocheckpoint = 0");
  database.exec("UPDATE counter SET v = 3");
  database.close();
}

const outside = { code: "TARGET_OUTSIDE_WINDOWS", kind: "not-found" };

test("where a later backup of a log stands at its end, nothing was committed in between: it is one window, and each instant in it gives the last commit", async () => {
  const { app, states } = await loggedApp();
  const [first] = (await app.manifests()).manifests;
  const { between, at } = await laterBackup(app);
  expect(await windowsOf(app)).toEqual([[first?.consistentAt, at]]);
  const found = await restoreAt(app, between);
  expect(dumpOf(found.path)).toBe(states.at(-1)?.dump);
  expect(found.recoveredTo).toBe(new Date(states.at(-1)?.at as number).toISOString());
  expect(found.findings.map(({ id }) => id)).toContain("last-commit-before-target");
  const [early] = states;
  expect(dumpOf((await restoreAt(app, new Date(early.at))).path)).toBe(early.dump);
  // A third one there: from the second on as well.
  const third = await laterBackup(app);
  expect(await windowsOf(app)).toEqual([[first?.consistentAt, third.at]]);
  const last = await restoreAt(app, third.between);
  expect(dumpOf(last.path)).toBe(states.at(-1)?.dump);
  await expect(restoreAt(app, new Date(Date.parse(third.at) + 1))).rejects.toMatchObject(outside);
});

test("a log that nothing was shipped of yet reaches from its first backup to the last one at the same place", async () => {
  const app = await ledgerApp();
  const database = new Database(app.path);
  database.exec("UPDATE counter SET v = 1");
  await Recorder.begin(app);
  const [first] = (await app.manifests()).manifests;
  const { between, at } = await laterBackup(app);
  expect(await windowsOf(app)).toEqual([[first?.consistentAt, at]]);
  expect(dumpOf((await restoreAt(app, between)).path)).toContain("counter: [[1]]");
  database.close();
});

test("a place without a frame proves nothing: a WAL that was emptied since looks the same", async () => {
  const app = await ledgerApp();
  await Recorder.begin(app);
  commitUnseen(app);
  const { between, at } = await laterBackup(app);
  expect(await windowsOf(app)).toMatchObject([{}, [at, at]]);
  await expect(restoreAt(app, between)).rejects.toMatchObject(outside);
});

test("a commit behind the log's end that was not shipped keeps the windows apart", async () => {
  const { app, states } = await loggedApp();
  commitUnseen(app);
  const { between, at } = await laterBackup(app);
  const end = new Date(states.at(-1)?.at as number).toISOString();
  expect(await windowsOf(app)).toEqual([
    [expect.any(String), end],
    [at, at],
  ]);
  await expect(restoreAt(app, between)).rejects.toMatchObject(outside);
});

test("a backup from which a segment is missing does not lead to the log's end, nor to the idle time behind it", async () => {
  const { app, recorder, states } = await loggedApp();
  await history(app, ["UPDATE counter SET v = 3"], { recorder });
  const { between, at } = await laterBackup(app);
  const { folder } = await app.manifests();
  await rm(join(app.folder, "repository", folder.logPath(recorder.names[1] as string)));
  expect(await windowsOf(app)).toEqual([
    [expect.any(String), new Date(states[0].at).toISOString()],
    [at, at],
  ]);
  await expect(restoreAt(app, between)).rejects.toMatchObject(outside);
});

test("a backup outside of the log in between may hold what came later, by a clock that was set back: nothing is proved", async () => {
  const { app, recorder } = await loggedApp();
  const shipped = app.shipping.get(app.name);
  app.shipping.clear();
  const outsideOfLog = await laterBackup(app);
  app.shipping.set(app.name, shipped as NonNullable<typeof shipped>);
  const { between, at } = await laterBackup(app);
  expect(await windowsOf(app)).toMatchObject([{}, [outsideOfLog.at, outsideOfLog.at], [at, at]]);
  await expect(restoreAt(app, between)).rejects.toMatchObject(outside);
  expect(recorder.names).toHaveLength(2);
});

test("what is damaged proves nothing, and is no reason to tell no windows at all", async () => {
  const { app, recorder, states } = await loggedApp();
  const { at } = await laterBackup(app);
  const { folder } = await app.manifests();
  const last = join(app.folder, "repository", folder.logPath(recorder.names.at(-1) as string));
  const bytes = await readFile(last);
  bytes.fill(0, bytes.length - 400);
  await writeFile(last, bytes);
  expect(await windowsOf(app)).toEqual([
    [expect.any(String), new Date(states.at(-1)?.at as number).toISOString()],
    [at, at],
  ]);
});
