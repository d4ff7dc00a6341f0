import { afterAll, beforeAll, expect, test } from "vitest";
import { Place } from "./command.ts";

let place: Place;

beforeAll(async () => {
  place = await Place.make();
  // What the configuration prints is the process itself that does the work.
  await place.write(
    "lifeboat.config.js",
    `console.log("mapped from", process.env.MALLOC_MMAP_THRESHOLD_, "in", process.pid, process.argv.length);
     export default {
       app: "shop",
       repository: { type: "filesystem", path: "repository" },
       sqlite: { path: "missing.db" },
       postgres: { url: "postgres://nobody@127.0.0.1:1/shop" },
     };`,
  );
});

afterAll(() => place[Symbol.asyncDispose]());

/** What the allocator of a command was told. */
async function mappedFrom(words: string, env: Record<string, string> = {}) {
  const { stderr } = await place.run([...words.split(" "), "--config", "lifeboat.config.js"], env);
  return /mapped from (\S+) in/.exec(stderr)?.[1];
}

test.each([
  ["watch", "262144"],
  ["backup --transport parallel", "524288"],
  ["restore --to copy --delta", "524288"],
  ["backup", "undefined"],
  ["restore --to copy", "undefined"],
  ["migrate load", "4194304"],
  ["migrate rollback", "4194304"],
  ["migrate plan", "undefined"],
  ["status", "undefined"],
  ["wal receive --slot backup", "undefined"],
])("%s has large memory given back as it was proven to need: from %s", async (words, bytes) => {
  expect(await mappedFrom(words)).toBe(bytes);
});

test("what the user has set himself stays", async () => {
  expect(await mappedFrom("migrate load", { MALLOC_MMAP_THRESHOLD_: "1000000" })).toBe("1000000");
});
