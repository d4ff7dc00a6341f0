import { LifeboatError } from "@lifeboat/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GLOBAL_OPTIONS } from "../../packages/cli/src/global-options.ts";
import { parsePlain } from "../../packages/cli/src/parse-plain.ts";
import { parseWithCommander } from "../../packages/cli/src/program.ts";
import { VERBS } from "../../packages/cli/src/verbs.ts";

const flags = [...GLOBAL_OPTIONS, ...VERBS.flatMap(({ options }) => options)].map(
  (option) => option.flags.split(" ")[0] as string,
);
const values = [
  "sqlite",
  "full",
  "wire",
  "20M",
  "0/3000148",
  "17",
  "/a=/b",
  "2026-11-22T10:15:00Z",
  "x",
  "-x",
  "--",
];
const verbWords = VERBS.flatMap(({ name }) => name.split(" "));
const word = fc.oneof(
  fc.constantFrom(...flags),
  fc.constantFrom(...values),
  fc.constantFrom(...verbWords),
);
const commandLine = fc
  .tuple(
    fc.constantFrom(...VERBS.map(({ name }) => name.split(" "))),
    fc.array(word, { maxLength: 7 }),
    fc.array(word, { maxLength: 2 }),
  )
  .map(([verb, after, before]) => [...before, ...verb, ...after]);

function outcomeOf(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
}

describe("a plain command line", () => {
  test("is read without commander exactly as commander reads it", () => {
    let plain = 0;
    fc.assert(
      fc.property(commandLine, (words) => {
        const read = outcomeOf(() => parsePlain(words, VERBS));
        if (read === undefined) return;
        plain += 1;
        expect(read).toEqual(outcomeOf(() => parseWithCommander(words, "lifeboat", VERBS)));
      }),
      { numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(50);
  });

  test.each([
    "wal push pg_wal/000000010000000000000001 --repository /r --app a",
    "wal fetch 000000010000000000000001 pg_wal/RECOVERYXLOG --config /etc/l.json",
    "--json list --no-color",
    "restore --to d --tablespace-mapping /a=/b --tablespace-mapping /c=/d --force",
  ])("needs no commander: %s", (line) => {
    const words = line.split(" ");
    const read = parsePlain(words, VERBS);
    expect(read).toBeDefined();
    expect(read).toEqual(parseWithCommander(words, "lifeboat", VERBS));
  });
});
