import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { DigestAside } from "../src/stream/digest-aside.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Each in memory of its own, as what is unpacked is. */
async function* pieces(content: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size)
    yield Uint8Array.from(content.subarray(at, at + size));
}

test("what passes comes out as it went in, in its order, with its digest", async () => {
  const content = randomBytes(300_000);
  const aside = new DigestAside();
  const out = await Array.fromAsync(aside.through(pieces(content, 7_001)));
  expect(Buffer.concat(out).equals(content)).toBe(true);
  expect(aside.value()).toEqual({ bytes: content.length, sha256: sha256(content) });
});

test("pieces of memory that others use too stay theirs", async () => {
  const content = randomBytes(100_000);
  const aside = new DigestAside();
  const views = async function* () {
    for (let at = 0; at < content.length; at += 9_000) yield content.subarray(at, at + 9_000);
  };
  const out = await Array.fromAsync(aside.through(views()));
  expect(out.every(({ buffer }) => buffer === content.buffer)).toBe(true);
  expect(aside.value().sha256).toBe(sha256(content));
});

test("of contents that pass at once each has its own digest, and none that an empty one lacks", async () => {
  const contents = [randomBytes(50_000), randomBytes(80_000), Buffer.alloc(0)];
  const digests = contents.map(async (content) => {
    const aside = new DigestAside();
    for await (const _ of aside.through(pieces(content, 5_000)));
    return aside.value();
  });
  expect(await Promise.all(digests)).toEqual(
    contents.map((content) => ({ bytes: content.length, sha256: sha256(content) })),
  );
});

test("what fails on its way is thrown to whoever takes it, and the next content passes", async () => {
  const failing = async function* () {
    yield new Uint8Array(1_000);
    throw new Error("the repository is gone");
  };
  await expect(Array.fromAsync(new DigestAside().through(failing()))).rejects.toThrow("is gone");
  const aside = new DigestAside();
  for await (const _ of aside.through(pieces(Buffer.from("next"), 2)));
  expect(aside.value().sha256).toBe(sha256(Buffer.from("next")));
});

test("the thread keeps no process alive, neither after a content nor beside one that nobody reads on", async () => {
  const module = new URL("../src/stream/digest-aside.ts", import.meta.url).href;
  const program = `
    const { DigestAside } = await import(${JSON.stringify(module)});
    const chunks = async function* () { for (let n = 0; n < 50; n++) yield new Uint8Array(100_000); };
    const aside = new DigestAside();
    for await (const _ of aside.through(chunks()));
    console.log(aside.value().bytes);
    void new DigestAside().through(chunks()).next();`;
  const directory = await mkdtemp(join(tmpdir(), "lifeboat-digest-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, "program.mjs");
  await writeFile(file, program);
  const { stdout } = await promisify(execFile)(process.execPath, [file]);
  expect(stdout).toBe("5000000\n");
});
