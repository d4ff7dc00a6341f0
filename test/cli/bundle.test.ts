import { glob, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { stageCommand } from "lifeboat";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Place } from "./command.ts";
import { bundle } from "./make-bundle.ts";

const packages = fileURLToPath(new URL("../../packages/", import.meta.url));
let place: Place;

beforeAll(async () => {
  place = await Place.make();
  await bundle(place.at("bundle"));
});

afterAll(() => place[Symbol.asyncDispose]());

test("every module that is started by its file lies beside the bundle's entry", async () => {
  const names: string[] = [];
  for await (const file of glob("*/src/**/*.ts", { cwd: packages })) {
    const source = await readFile(`${packages}${file}`, "utf8");
    const calls = source.matchAll(/siblingModule\(import\.meta\.url, "([^"]+)"\)/g);
    names.push(...calls.map(([, name]) => `${name}.js`));
  }
  expect(names.length).toBeGreaterThan(0);
  expect(await readdir(place.at("bundle"))).toEqual(expect.arrayContaining(names));
});

test("what the start of every command loads is small", async () => {
  // The chunks that main.js imports at once, and theirs: what archive_command pays for each segment.
  const seen = new Set<string>();
  const queue = ["main.js"];
  let bytes = 0;
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const text = await readFile(place.at("bundle", name), "utf8");
    bytes += text.length;
    queue.push(
      ...text.matchAll(/(?:^import|^\}) (?:from )?"\.\/([^"]+)"/gm).map(([, next = ""]) => next),
    );
    expect(text).not.toMatch(
      /^import .*"(better-sqlite3|node:(crypto|child_process|worker_threads|zlib))"/m,
    );
  }
  expect(bytes).toBeLessThan(100_000);
});

test("a staged command runs in a folder of its own, from which any account may start it", async () => {
  const staged = await stageCommand(place.at("bundle"));
  const [node = "", script = ""] = staged.command;
  const asOther = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const ran = await execa(node, [script, "--version"], {
    cwd: "/",
    env: {},
    extendEnv: false,
    ...asOther,
  });
  expect(ran.stdout).toMatch(/^\d+\.\d+\.\d+$/);
  await staged.remove();
  await expect(readFile(script)).rejects.toThrow("ENOENT");
});

test("staging without a bundle says how to make one", async () => {
  await expect(stageCommand(place.at("nothing"))).rejects.toMatchObject({ code: "BUNDLE_MISSING" });
});
