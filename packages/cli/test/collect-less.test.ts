import { cachedDataVersionTag, setFlagsFromString } from "node:v8";
import { runSteps } from "@lifeboat/core";
import { expect, test } from "vitest";
import { collectingLess } from "../src/collect-less.ts";

// As every command begins, and not as workers of tests do (vitest.config.ts).
setFlagsFromString("--incremental-marking-soft-trigger=0");

/** Changes with V8's flags: what is kept compiled counts for one value of it. */
const flags = cachedDataVersionTag;

test.each(["backup", "watch"])(
  "%s sets V8's flags for its steps only: whatever is loaded before and after was compiled for others",
  async (verb) => {
    const usual = flags();
    const during: number[] = [];
    const run = collectingLess(verb, runSteps);
    expect(flags()).toBe(usual);

    await run([{ title: "work", run: async () => void during.push(flags()) }]);
    const failing = run([{ title: "fail", run: () => Promise.reject(new Error("it failed")) }]);
    await expect(failing).rejects.toThrow("it failed");

    expect(during).toEqual([expect.any(Number)]);
    expect(during).not.toContain(usual);
    expect(flags()).toBe(usual);
  },
);

test("a migration's garbage is collected as usual: each of its long values should be gone before the next", async () => {
  const usual = flags();
  const during: number[] = [];
  await collectingLess(
    "migrate load",
    runSteps,
  )([{ title: "load", run: async () => void during.push(flags()) }]);
  expect(during).toEqual([usual]);
});
