import Database from "better-sqlite3";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BIN, Place } from "./command.ts";

let place: Place;

beforeAll(async () => {
  place = await Place.make();
  const database = new Database(place.at("app.db"));
  database.exec("create table orders (id integer primary key, note text)");
  database.close();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
  await place.run(["backup", "--quiet"]);
});

afterAll(() => place[Symbol.asyncDispose]());

const VERBS: [string, string[]][] = [
  ["backup", ["backup"]],
  ["list", ["list"]],
  ["verify", ["verify"]],
  ["drill", ["drill"]],
  ["doctor", ["doctor"]],
  ["status", ["status"]],
];

describe("with --json, stdout is one document with at least what the contract says:", () => {
  test.each([
    [
      "backup",
      [
        "id",
        "app",
        "engine",
        "type",
        "parent",
        "startedAt",
        "finishedAt",
        "sourceBytes",
        "storedBytes",
        "consistentAt",
      ],
    ],
    ["list", ["app", "live", "backups", "windows"]],
    ["verify", ["ok", "objects", "bytes", "problems"]],
    ["drill", ["ok", "id", "engine", "backup", "recoveredTo", "seconds", "checks"]],
    ["doctor", ["ok", "findings"]],
    ["status", ["app", "live", "lastBackup", "lastDrill", "archive", "slots", "windows", "alerts"]],
    [
      "restore",
      ["engine", "backup", "path", "target", "willRecoverTo", "recoveredTo", "bytes", "seconds"],
    ],
  ])("%s", async (verb, members) => {
    const words = verb === "restore" ? [verb, "--to", "json-copy"] : [verb];
    const { stdout } = await place.run([...words, "--json"]);
    expect(Object.keys(JSON.parse(stdout))).toEqual(expect.arrayContaining(members));
  });
});

describe("without --json, the result is for people and progress goes to stderr:", () => {
  test.each(VERBS)("%s", async (_, words) => {
    const { stdout } = await place.run(words);
    expect(stdout).not.toBe("");
    expect(stdout).not.toContain(" …");
    expect(() => JSON.parse(stdout)).toThrow();
  });
});

test("progress without a terminal is plain lines", async () => {
  const { stderr } = await place.run(["backup"]);
  expect(stderr).toMatch(/^back up app …$/m);
  expect(stderr).toMatch(/^back up app: done in /m);
  expect(stderr).not.toContain("\u001b");
});

test("--quiet leaves stderr empty", async () => {
  expect((await place.run(["backup", "--quiet"])).stderr).toBe("");
});

test("an error without --json says what to do, on stderr only", async () => {
  const ran = await place.run(["restore", "--to", "x", "--backup", "20200101T000000.000Z-full"]);
  expect(ran.stdout).toBe("");
  expect(ran.stderr).toContain("20200101T000000.000Z-full");
  expect(ran.stderr).toContain("what to do: ");
});

test("--verbose adds the stack", async () => {
  const words = ["list", "--repository", "nowhere", "--app", "shop"];
  expect((await place.run(words)).stderr).not.toContain("    at ");
  expect((await place.run([...words, "--verbose"])).stderr).toContain("    at ");
});

test("what a configuration module prints does not get into the JSON", async () => {
  await place.write(
    "chatty.js",
    `import { readFileSync } from "node:fs";
     console.log("injecting variables");
     export default JSON.parse(readFileSync(${JSON.stringify(place.at("lifeboat.config.json"))}, "utf8"));`,
  );
  await place.write("package.json", { type: "module" });
  const { stdout, stderr } = await place.run(["list", "--json", "--config", "chatty.js"]);
  expect(JSON.parse(stdout).app).toBe("shop");
  expect(stderr).toContain("injecting variables");
});

test("a reader that goes away early is no error", async () => {
  const { exitCode, stderr } = await execa({
    shell: "/bin/bash",
    cwd: place.path,
    env: place.environment,
    reject: false,
  })`${process.execPath} ${BIN} list --json | true; exit \${PIPESTATUS[0]}`;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
});

test("what a backup is called commands no terminal and draws no line of its own", async () => {
  const label = "\u001b]0;title\u0007\u001b[31mred\nERROR  forged\u009b2J\u202e";
  await place.run(["backup", "--quiet", "--label", label]);
  const { stdout } = await place.run(["list"]);
  expect(stdout).toContain("\\x1b]0;title\\x07\\x1b[31mred\\x0aERROR  forged\\x9b2J\\u202e");
  const { stderr } = await place.run(["restore", "--to", "x", "--backup", label]);
  expect(stderr.split("\n")).toHaveLength(3);
  const json = (await place.run(["list", "--json"])).stdout;
  expect(json).toContain("\\u009b2J\\u202e");
  expect(JSON.parse(json).backups.at(-1).label).toBe(label);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come out
  expect(`${stdout}${stderr}`).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
});
