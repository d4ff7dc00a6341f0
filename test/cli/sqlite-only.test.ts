import { spawn } from "node:child_process";
import { once } from "node:events";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { makeLedger } from "../support/sqlite.ts";
import { BIN, Place, type Ran } from "./command.ts";

async function shop(): Promise<Place> {
  const place = await Place.make();
  onTestFinished(() => place[Symbol.asyncDispose]());
  makeLedger(place.at("app.db"));
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
  return place;
}

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly remedy: string;
}

const findingsOf = async (place: Place): Promise<Finding[]> =>
  JSON.parse((await place.run(["doctor", "--json"])).stdout).findings;
const alertsOf = async (place: Place): Promise<Finding[]> =>
  JSON.parse((await place.run(["status", "--json"])).stdout).alerts;

/** A watch of the command in a process of its own, once it ships. */
async function startWatch(place: Place) {
  const child = spawn(process.execPath, [BIN, "watch", "--quiet"], {
    cwd: place.path,
    env: { ...process.env, ...place.environment },
    stdio: "ignore",
  });
  const gone = once(child, "exit");
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const archive = async () =>
    JSON.parse((await place.run(["status", "--json"])).stdout).archive ?? null;
  await expect.poll(archive, { interval: 200 }).toMatchObject({ ok: true, oldestUnarchived: null });
  return async (how: "SIGTERM" | "SIGKILL") => {
    child.kill(how);
    await gone;
  };
}

/** What means nothing to whoever has no Postgres. */
const FOREIGN =
  /pg_|postgres|timeline|archive_command|\bWAL (file|segment)|\bslot|\bserver|\bLSN\b/i;

test("who has SQLite only reads no word of Postgres' in what the verbs say, with a watch and without", async () => {
  const place = await shop();
  const said: [string, Ran][] = [];
  const run = async (...words: string[]) => {
    const ran = await place.run(words);
    said.push([words.join(" "), ran]);
    return ran;
  };
  await run("list");
  await run("status");
  await run("backup");
  const stop = await startWatch(place);
  new Database(place.at("app.db")).exec("UPDATE counter SET v = v + 1");
  await expect
    .poll(
      async () => JSON.parse((await place.run(["status", "--json"])).stdout).archive?.lastSegment,
      { interval: 200 },
    )
    .toEqual(expect.any(String));
  const beside = await run("backup");
  expect(beside.stdout).not.toContain("sqlite-old-reader");
  await run("status");
  await run("list");
  await run("doctor");
  const { windows } = JSON.parse((await place.run(["list", "--json"])).stdout);
  const logged = windows.find(({ from, to }: { from: string; to: string }) => from < to);
  const middle = new Date(Date.parse(logged.from) + 1).toISOString();
  const at = await run("restore", "--to", "middle", "--at", middle);
  expect(at.stdout).toContain("last-commit-before-target");
  await run("restore", "--to", "latest");
  await run("restore", "--to", "latest");
  await run("restore", "--to", "never", "--at", "2020-01-01T00:00:00Z");
  await run("verify", "--deep");
  await run("drill");
  await stop("SIGKILL");
  await run("status");
  await run("doctor");
  for (const [words, { stdout, stderr }] of said)
    expect(`${words}: ${FOREIGN.exec(`${stdout}${stderr}`)?.[0] ?? "nothing"}`).toBe(
      `${words}: nothing`,
    );
});

test("doctor says of a watch that stopped what status says, and is an error, and nothing of one that runs", async () => {
  const place = await shop();
  const stop = await startWatch(place);
  const watchIds = (found: readonly Finding[]) =>
    found.filter(({ id }) => /^(watch|log|lineage)-/.test(id));
  expect(watchIds(await findingsOf(place))).toEqual([]);
  expect((await place.run(["doctor"])).status).toBe(0);
  await stop("SIGKILL");
  const [alert, ...others] = watchIds(await alertsOf(place));
  expect(alert).toMatchObject({ id: "watch-stopped", severity: "error" });
  expect(others).toEqual([]);
  expect(watchIds(await findingsOf(place))).toEqual([alert]);
  expect(alert?.remedy).toContain("lifeboat watch");
  expect((await place.run(["doctor"])).status).toBe(1);
});

test("a backup needs no temporary directory where there is room beside the database", async () => {
  const place = await shop();
  const ran = await place.run(["backup", "--json"], { TMPDIR: place.at("nowhere") });
  expect(ran).toMatchObject({ status: 0 });
});
