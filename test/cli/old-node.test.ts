import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { transform } from "esbuild";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { BIN, errorOf, Place } from "./command.ts";

const START = createRequire(BIN).resolve("./start.cjs");

/** Runs the command in a Node that claims to be another one. */
async function runAs(version: string, words: readonly string[]) {
  await using place = await Place.make();
  const wrapper = await place.write(
    "old.cjs",
    `Object.defineProperty(process, "version", { value: ${JSON.stringify(version)} });
     require(${JSON.stringify(BIN)});`,
  );
  const { exitCode, stdout, stderr } = await execa(process.execPath, [wrapper, ...words], {
    reject: false,
  });
  return { status: exitCode, stdout, stderr };
}

describe("on a Node that is too old", () => {
  test.each(["v0.12.18", "v8.17.0", "v20.20.2", "v25.9.0"])(
    "%s one sentence says so",
    async (version) => {
      const ran = await runAs(version, ["backup"]);
      expect(ran).toMatchObject({ status: 2, stdout: "" });
      expect(ran.stderr).toContain(`Node ${version} is too old, 26.0 or newer is needed`);
      expect(ran.stderr.trim().split("\n")).toHaveLength(1);
    },
  );

  test("scripts get the error as JSON", async () => {
    const ran = await runAs("v20.20.2", ["list", "--json"]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).code).toBe("NODE_TOO_OLD");
  });

  test("a recovery stops instead of ending short", async () => {
    const ran = await runAs("v20.20.2", ["wal", "fetch", "000000010000000000000001", "x"]);
    expect(ran.status).toBe(126);
  });

  test("wal push fails in a way that the archiver tries again", async () => {
    const ran = await runAs("v20.20.2", ["wal", "push", "pg_wal/000000010000000000000001"]);
    expect(ran.status).toBe(2);
  });
});

test("a Node that is new enough is let through", async () => {
  const ran = await runAs("v26.0.0", ["--version"]);
  expect(ran.status).toBe(0);
});

test.each([BIN, START])("%s holds nothing that an old Node cannot parse", async (file) => {
  const source = await readFile(file, "utf8");
  // Shorthand is how esbuild prints what was written out in full.
  const supported = { "object-extensions": false };
  const printedAs = async (target: string) => (await transform(source, { target, supported })).code;
  // What had to be rewritten for ES5 would not be the same.
  expect(await printedAs("es5")).toBe(await printedAs("esnext"));
  expect(source).not.toMatch(/,\s*\)/);
});
