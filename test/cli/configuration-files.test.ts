import { mkdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, Place } from "./command.ts";

let place: Place;

const CONFIGURATION = `{
  app: "shop",
  repository: { type: "filesystem", path: "repository" },
  sqlite: { path: { env: "SHOP_DATABASE" } },
}`;

beforeAll(async () => {
  place = await Place.make();
  await place.write("package.json", { type: "module" });
});

afterAll(() => place[Symbol.asyncDispose]());

/** The repository is not there: that it was looked for proves that the configuration was understood. */
async function lookedFor(words: readonly string[], env = {}) {
  const ran = await place.run([...words, "--json"], { SHOP_DATABASE: "app.db", ...env });
  return { status: ran.status, ...errorOf(ran) };
}

describe("a configuration is read", () => {
  test.each([
    ["lifeboat.config.ts", `const config: object = ${CONFIGURATION};\nexport default config;\n`],
    ["other.js", `export default ${CONFIGURATION};\n`],
    [
      "other.json",
      `{ "app": "shop", "repository": { "type": "filesystem", "path": "repository" }, "sqlite": { "path": "a.db" } }`,
    ],
    [
      "marked.json",
      `\uFEFF{ "app": "shop", "repository": { "type": "filesystem", "path": "repository" }, "sqlite": { "path": "a.db" } }`,
    ],
  ])("from %s", async (name, text) => {
    await place.write(name, text);
    const { code, message } = await lookedFor(["list", "--config", name]);
    expect(code).toBe("REPOSITORY_MISSING");
    expect(message).toContain(place.at("repository"));
  });

  test("from the nearest file upward, with paths from that file's folder", async () => {
    await mkdir(place.at("deep", "er"), { recursive: true });
    const ran = await place.run(["list", "--json"], { SHOP_DATABASE: "app.db" }, "deep/er");
    expect(errorOf(ran).message).toContain(place.at("repository"));
  });

  test("with its variables, and the fault names the one that is not set", async () => {
    const ran = await place.run(["list", "--config", "lifeboat.config.ts", "--json"]);
    expect(ran.status).toBe(2);
    const { code, message } = errorOf(ran);
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toBe(
      `${place.at("lifeboat.config.ts")}: sqlite.path: the environment variable SHOP_DATABASE is not set`,
    );
  });
});

describe("is refused with exit 2:", () => {
  test.each([
    [
      "JSON that is cut off",
      "broken.json",
      `{ "app": "hunter2", `,
      "CONFIG_INVALID",
      "is not valid JSON",
    ],
    // The engine's own message would quote it.
    [
      "JSON with a word that is no text",
      "unquoted.json",
      `{ "app": hunter2 }`,
      "CONFIG_INVALID",
      "unquoted.json: is not valid JSON",
    ],
    ["a file that is empty", "empty.json", "\n", "CONFIG_INVALID", "empty.json: is empty"],
    ["a list", "list.json", "[]", "CONFIG_INVALID", "list.json: must be an object, not a list"],
    [
      "a storage that is not built yet, with the one that is",
      "s3.json",
      `{ "app": "a", "repository": { "type": "s3", "bucket": "b" }, "sqlite": { "path": "a.db" } }`,
      "NOT_AVAILABLE",
      '"s3" is not available in this version, "filesystem" is',
    ],
    [
      "a module that cannot be parsed",
      "broken.ts",
      "export default {",
      "CONFIG_UNREADABLE",
      "broken.ts",
    ],
    [
      "a module that throws",
      "throws.js",
      "throw new Error('no such file: x')",
      "CONFIG_UNREADABLE",
      "no such file: x",
    ],
    [
      "a module without a default export",
      "named.js",
      "export const config = {};",
      "CONFIG_INVALID",
      "has no default export",
    ],
    [
      "an unknown key",
      "unknown.json",
      `{ "app": "a", "repository": { "type": "filesystem", "path": "r", "colour": 1 }, "sqlite": { "path": "a.db" } }`,
      "CONFIG_INVALID",
      "repository.colour: is an unknown key",
    ],
  ])("%s", async (_, name, text, code, said) => {
    await place.write(name, text);
    const error = await lookedFor(["list", "--config", name]);
    expect(error).toMatchObject({ status: 2, code });
    expect(error.message).toContain(said);
    expect(error.message).not.toContain("hunter2");
  });
});

test("checks that a module exports are checked as those in the file", async () => {
  await place.write("checks.js", `export const checks = [{ name: "x", statement: "select 1" }];`);
  await place.write(
    "lazy.js",
    `export default { ...${CONFIGURATION}, drill: { checks: () => import("./checks.js") } };`,
  );
  const error = await lookedFor(["drill", "--config", "lazy.js"]);
  expect(error).toMatchObject({ status: 2, code: "CONFIG_INVALID" });
  expect(error.message.split("\n")).toEqual([
    expect.stringContaining("drill.checks[0].sql: is missing"),
    expect.stringContaining("drill.checks[0].statement: is an unknown key"),
  ]);
});

test("a configuration that ends the process, or never ends itself, is no success and says so", async () => {
  for (const [name, text] of [
    ["exits.js", "process.exit(0);"],
    ["waits.js", "await new Promise(() => {}); export default {};"],
  ] as const) {
    await place.write(name, text);
    const ran = await place.run(["backup", "--config", name, "--json"]);
    expect(ran.status, name).toBe(1);
    expect(errorOf(ran).code, name).toBe("ENDED_EARLY");
  }
});
