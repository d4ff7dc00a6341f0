import { expect, test } from "vitest";
import { memoryStorage } from "../../storage/src/memory.ts";
import { DatabaseFolder } from "../src/database-folder.ts";

const NAME = "lineage/1.wal";

function folderOn(storage = memoryStorage()) {
  const compression = { level: 3, logLevel: 3 };
  return new DatabaseFolder({ storage, app: "a", engine: "sqlite", database: "d", compression });
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function contentOf(folder: DatabaseFolder): Promise<string> {
  return Buffer.concat(await Array.fromAsync(folder.readLog(NAME))).toString();
}

test.each([10, 100_000])(
  "a note of %i characters is read from the object's end, and the content is as it was",
  async (length) => {
    const folder = folderOn();
    const note = { first: 1, text: "n".repeat(length) };
    await folder.storeLog(
      NAME,
      () => bytes("frames"),
      () => note,
    );
    expect(await folder.readLogNote(NAME)).toEqual(note);
    expect(await contentOf(folder)).toBe("frames");
  },
);

test("a note may say what only the content's end told", async () => {
  const folder = folderOn();
  let passed = 0;
  const content = async function* () {
    yield Buffer.alloc(70);
    passed = 70;
  };
  await folder.storeLog(NAME, content, () => ({ passed }));
  expect(await folder.readLogNote(NAME)).toEqual({ passed: 70 });
});

test("an object without a note has none, however its content ends", async () => {
  const folder = folderOn();
  await folder.storeLog(NAME, () => bytes("x"));
  expect(await folder.readLogNote(NAME)).toBeUndefined();
  expect(await contentOf(folder)).toBe("x");
});

test("a note that was altered is refused by itself and with its object", async () => {
  const storage = memoryStorage();
  const folder = folderOn(storage);
  await folder.storeLog(
    NAME,
    () => bytes("frames"),
    () => ({ last: 1 }),
  );
  const path = folder.logPath(NAME);
  const whole = Buffer.concat(await Array.fromAsync(storage.read(path)));
  const at = whole.indexOf('"last": 1');
  expect(at).toBeGreaterThan(0);
  whole[at + 8] = "2".charCodeAt(0);
  await storage.remove(path);
  await storage.create(path, whole);
  await expect(folder.readLogNote(NAME)).rejects.toMatchObject({ code: "MANIFEST_CORRUPT" });
  await expect(contentOf(folder)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
});

test("a content larger than its reader allows is refused", async () => {
  const folder = folderOn();
  await folder.storeLog(NAME, async function* () {
    yield Buffer.alloc(5000);
  });
  await expect(Array.fromAsync(folder.readLog(NAME, 4000))).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
  });
});
