import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BIN, Place } from "./command.ts";

let place: Place;

beforeAll(async () => {
  place = await Place.make();
  const database = new Database(place.at("app.db"));
  database.exec("create table orders (id integer primary key)");
  database.close();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
});

afterAll(() => place[Symbol.asyncDispose]());

function start(words: readonly string[], stdout: number | "pipe") {
  return spawn(process.execPath, [BIN, ...words], {
    cwd: place.path,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", stdout, "pipe"],
  });
}

test("a backup is taken although nobody reads its progress and its result any more", async () => {
  const child = start(["backup"], "pipe");
  child.stdout?.destroy();
  child.stderr?.destroy();
  const [status] = await once(child, "exit");
  expect(status).toBe(0);
  const { stdout } = await place.run(["list", "--json"]);
  expect(JSON.parse(stdout).backups).toHaveLength(1);
});

test.runIf(process.platform === "linux")(
  "a result that its file has no room for is a failure, and says so",
  async () => {
    const child = start(["list", "--json"], openSync("/dev/full", "w"));
    let said = "";
    child.stderr?.on("data", (bytes) => {
      said += bytes;
    });
    const [status] = await once(child, "close");
    expect(status).toBe(1);
    expect(said).toContain("could not be written");
  },
);

/** Runs the command in a process that gets SIGTERM at a moment of `preparation`'s choosing. */
async function runStopped(preparation: string, words: readonly string[]) {
  const wrapper = await place.write(
    "stopped.cjs",
    `${preparation}; require(${JSON.stringify(BIN)});`,
  );
  const child = spawn(process.execPath, [wrapper, ...words], {
    cwd: place.path,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.on("data", (bytes) => {
    stdout += bytes;
  });
  const [status, signal] = await once(child, "close");
  return { status, signal, stdout };
}

test("a signal while the command is still loaded ends it with a status and one document", async () => {
  // The first file that is asked for is the bundle.
  const early = `const fs = require("fs"), { statSync } = fs;
    fs.statSync = (...of) => { fs.statSync = statSync; process.kill(process.pid, "SIGTERM"); return statSync(...of); }`;
  const ran = await runStopped(early, ["list", "--json"]);
  expect(ran).toMatchObject({ status: 143, signal: null });
  expect(JSON.parse(ran.stdout).error.code).toBe("STOPPED");
});

test("a signal after the result was printed changes nothing any more", async () => {
  const late = `const { exit } = process;
    process.exit = (status) => { process.kill(process.pid, "SIGTERM"); setImmediate(exit, status); }`;
  const ran = await runStopped(late, ["list", "--json"]);
  expect(ran).toMatchObject({ status: 0, signal: null });
  expect(JSON.parse(ran.stdout)).toHaveProperty("backups");
});
