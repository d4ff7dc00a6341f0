import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, Place } from "./command.ts";

let place: Place;

beforeAll(async () => {
  place = await Place.make();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
});

afterAll(() => place[Symbol.asyncDispose]());

describe("what the contract names and this version does not do is refused with its name:", () => {
  test.each([
    ["prune --dry-run"],
    ["hold id --until 2026-11-22T10:15:00Z"],
    ["plan --rto 15m"],
    ["report --to file.html"],
    ["metrics"],
  ])("%s", async (line) => {
    const words = line.split(" ");
    const ran = await place.run([...words, "--json"]);
    expect(ran.status).toBe(2);
    const { code, message } = errorOf(ran);
    expect(code).toBe("NOT_AVAILABLE");
    const verb = words
      .filter((word) => !word.startsWith("-"))
      .slice(0, words[1]?.startsWith("-") ? 1 : 2);
    expect(message).toContain(verb[0]);
    const option = /--(type|transport|jobs|max-rate|extract|into|sql)\b/.exec(line);
    if (option && !line.startsWith("import")) expect(message).toContain(option[0]);
    expect(await readdir(place.path)).toEqual(["lifeboat.config.json"]);
  });
});

test("a configured encryption is refused before anything is written", async () => {
  await place.write("encrypted.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
    encryption: { recipients: ["age1qqqq"], identityFile: "/etc/lifeboat/key.txt" },
  });
  const ran = await place.run(["backup", "--config", "encrypted.json", "--json"]);
  expect(ran.status).toBe(2);
  expect(errorOf(ran)).toMatchObject({ code: "NOT_AVAILABLE", details: { keys: ["encryption"] } });
  expect(await readdir(place.path)).not.toContain("repository");
});
