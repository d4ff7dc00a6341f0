import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  heard,
  isRunning,
  isThere,
  startScript,
  testFolder,
  until,
} from "../../../test/support/sqlite.ts";
import { RawReader } from "../src/raw/raw-reader.ts";

const signal = new AbortController().signal;

async function readerAndFile(bytes: number) {
  const reader = new RawReader();
  onTestFinished(() => reader.close());
  const path = join(await testFolder(), "file");
  const content = randomBytes(bytes);
  await writeFile(path, content);
  return { reader, path, content };
}

test("parts of a file, a copy of it and its stream are the file's bytes", async () => {
  const { reader, path, content } = await readerAndFile(5_000_001);
  expect(await reader.peek(path, 10, 100)).toEqual(content.subarray(10, 110));
  expect(await reader.peek(path, 5_000_000, 100)).toEqual(content.subarray(5_000_000));
  expect(await reader.peek(`${path}-none`, 0, 100)).toBeUndefined();
  await reader.copy(path, `${path}.copy`, signal);
  expect((await readFile(`${path}.copy`)).equals(content)).toBe(true);
  const streamed = Buffer.concat(await Array.fromAsync(reader.stream(path, signal)));
  expect(streamed.equals(content)).toBe(true);
});

test("a copy never replaces a file, and what cannot be read is an error with its code", async () => {
  const { reader, path } = await readerAndFile(10);
  await writeFile(`${path}.copy`, "mine");
  await expect(reader.copy(path, `${path}.copy`, signal)).rejects.toMatchObject({ code: "EEXIST" });
  await expect(reader.copy(`${path}-none`, `${path}.other`, signal)).rejects.toMatchObject({
    code: "ENOENT",
  });
});

test("a stream whose reader dies half-way throws", async () => {
  const { reader, path } = await readerAndFile(50_000_000);
  const killed = async () => {
    let lives = true;
    for await (const _ of reader.stream(path, signal)) {
      // Once: what it had sent before comes after its end.
      if (lives) process.kill(Number(reader.pid), "SIGKILL");
      lives = false;
    }
  };
  await expect(killed()).rejects.toMatchObject({ code: "COPY_INTERRUPTED" });
});

test("an abort ends a copy with the abort's reason, before it began as well", async () => {
  const { reader, path } = await readerAndFile(10);
  const stopped = AbortSignal.abort(new Error("stopped"));
  await expect(reader.copy(path, `${path}.copy`, stopped)).rejects.toThrow("stopped");
  expect(await isThere(`${path}.copy`)).toBe(false);
});

test.runIf(process.platform === "linux")("it ends when its parent is killed", async () => {
  const parent = startScript("sqlite-raw-reader.ts", []);
  let said = "";
  parent.child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await heard(parent, "reader\n");
  const pid = Number(/(\d+) reader/.exec(said)?.[1]);
  expect(await isRunning(pid)).toBe(true);
  await parent.kill();
  await until(async () => !(await isRunning(pid)));
});
