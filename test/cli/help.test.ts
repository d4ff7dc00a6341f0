import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { GLOBAL_OPTIONS } from "../../packages/cli/src/global-options.ts";
import { optionFlag } from "../../packages/cli/src/option-flag.ts";
import { readmeTable } from "../../packages/cli/src/readme-table.ts";
import { VERBS } from "../../packages/cli/src/verbs.ts";
import { Place } from "./command.ts";

test("the README's table of verbs is what the help says (node packages/cli/write-readme.mjs)", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  expect(readme).toContain(readmeTable(VERBS, GLOBAL_OPTIONS));
});

test.each(VERBS.map((verb) => [verb.name, verb] as const))(
  "the help of %s names every option and shows an example",
  async (name, { options, examples }) => {
    await using place = await Place.make();
    const { status, stdout } = await place.run([...name.split(" "), "--help"]);
    expect(status).toBe(0);
    for (const { flags } of [...options, ...GLOBAL_OPTIONS])
      expect(stdout).toContain(optionFlag(flags).long);
    expect(stdout).toContain(`lifeboat ${examples[0]?.[0]}`);
  },
);

test.each([
  ["help", "Usage: lifeboat [options]"],
  ["help restore", "Usage: lifeboat restore [options]"],
])("%s is help as well", async (line, usage) => {
  await using place = await Place.make();
  const { status, stdout } = await place.run(line.split(" "));
  expect(status).toBe(0);
  expect(stdout).toContain(usage);
});

test.each([
  [["--version", "--json"], /^\d+\.\d+\.\d+\n$/],
  [["--json", "restore", "--help"], /^Usage: lifeboat restore/],
])("%j is one JSON document, too", async (words, text) => {
  await using place = await Place.make();
  const { status, stdout } = await place.run([...words]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ text: expect.stringMatching(text) });
});

test("the version is the package's", async () => {
  await using place = await Place.make();
  const text = await readFile(new URL("../../packages/cli/package.json", import.meta.url), "utf8");
  expect((await place.run(["--version"])).stdout).toBe(`${JSON.parse(text).version}\n`);
});
