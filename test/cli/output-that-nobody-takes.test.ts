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
