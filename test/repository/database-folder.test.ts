import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseFolder, type Manifest, type Storage } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { beforeEach, describe, expect, test } from "vitest";
import { has } from "../support/outside-programs.ts";

let storage: Storage;
let folder: DatabaseFolder;
beforeEach(() => {
  storage = memoryStorage();
  folder = new DatabaseFolder({
    storage,
    app: "app",
    engine: "postgres",
    database: "7",
    compression: { level: 3, logLevel: 1 },
  });
});

const backup = { id: "20261122T101500.123Z-full" } as Manifest;
/** A backup's content of such a length is digested by a thread of its own on its way back. */
const LONG = 40_000_003;
const sizes = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9_500_000];

test.each([...sizes, LONG])(
  "%i bytes come back as they were stored, and plain zstd reads them too",
  async (size) => {
    const content = mixed(size);
    const object = await folder.storeObject(backup.id, "base.tar", "base", inPieces(content));
    expect(object).toMatchObject({
      object: "base.tar.zst",
      content: { bytes: size, sha256: sha256(content) },
    });
    const back = Buffer.concat(await Array.fromAsync(folder.readObject(backup, object)));
    expect(back.equals(content)).toBe(true);
    const stored = await bytesOf(folder.objectPath(backup, object));
    expect(object.stored).toEqual({ bytes: stored.length, sha256: sha256(stored) });
    if (has("zstd")) expect((await unzstd(stored)).equals(content)).toBe(true);
  },
);

test.each(sizes)(
  "a log object of %i bytes comes back, and plain zstd passes over its seal",
  async (size) => {
    const content = mixed(size);
    expect(await folder.storeLog("00000001/a", () => inPieces(content))).toBe("stored");
    const back = Buffer.concat(await Array.fromAsync(folder.readLog("00000001/a")));
    expect(back.equals(content)).toBe(true);
    if (!has("zstd")) return;
    expect((await unzstd(await bytesOf(folder.logPath("00000001/a")))).equals(content)).toBe(true);
  },
);

test("the same log object again is fine, another one under its name is refused and changes nothing", async () => {
  const content = mixed(2_000_000);
  await folder.storeLog("1/a", () => inPieces(content));
  expect(await folder.storeLog("1/a", () => inPieces(content))).toBe("present");
  const other = Buffer.from(content);
  other[1_500_000] = (other[1_500_000] as number) ^ 1;
  await expect(folder.storeLog("1/a", () => inPieces(other))).rejects.toMatchObject({
    code: "LOG_OBJECT_DIFFERS",
    kind: "refused",
  });
  const back = Buffer.concat(await Array.fromAsync(folder.readLog("1/a")));
  expect(back.equals(content)).toBe(true);
});

describe("damage is found before the last byte is handed on, and the object is named", () => {
  const content = mixed(2_500_000);

  test.each([0, 5, 1000, 0.5, -200, -60, -1])(
    "a byte flipped at %s of a backup's object",
    async (where) => {
      const object = await folder.storeObject(backup.id, "base.tar", "base", inPieces(content));
      const path = folder.objectPath(backup, object);
      await replace(path, (bytes) => flip(bytes, where));
      await expect(lengthOf(folder.readObject(backup, object))).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        details: { object: path },
      });
    },
  );

  test.each([0, 5, 1000, 0.5, -200, -60, -1])(
    "a byte flipped at %s of a log object",
    async (where) => {
      await folder.storeLog("1/a", () => inPieces(content));
      await replace(folder.logPath("1/a"), (bytes) => flip(bytes, where));
      await expect(lengthOf(folder.readLog("1/a"))).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        details: { object: folder.logPath("1/a") },
      });
      await expect(folder.storeLog("1/a", () => inPieces(content))).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
      });
    },
  );

  test.each([0, 1, 100, 0.5, -1])("an object cut to %s", async (length) => {
    const object = await folder.storeObject(backup.id, "base.tar", "base", inPieces(content));
    await folder.storeLog("1/a", () => inPieces(content));
    for (const path of [folder.objectPath(backup, object), folder.logPath("1/a")])
      await replace(path, (bytes) => bytes.subarray(0, place(bytes, length)));
    await expect(lengthOf(folder.readObject(backup, object))).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
    });
    await expect(lengthOf(folder.readLog("1/a"))).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
    });
  });

  test.each([2_500_000, LONG])(
    "one whose %i bytes are whole, and not those that the manifest tells of",
    async (size) => {
      const object = await folder.storeObject(backup.id, "base.tar", "base", inPieces(mixed(size)));
      const other = { ...object, content: { bytes: size, sha256: sha256(Buffer.from("other")) } };
      let given = 0;
      const reading = async () => {
        for await (const chunk of folder.readObject(backup, other)) given += chunk.length;
      };
      await expect(reading()).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        message: expect.stringContaining("unpacked"),
        details: { object: folder.objectPath(backup, object) },
      });
      expect(given).toBeGreaterThan(0);
      expect(given).toBeLessThan(size);
    },
  );

  test("an object swapped for another whole one", async () => {
    const one = await folder.storeObject(backup.id, "one", "base", inPieces(content));
    const two = await folder.storeObject(backup.id, "two", "base", inPieces(mixed(1000)));
    const other = await bytesOf(folder.objectPath(backup, two));
    await replace(folder.objectPath(backup, one), () => other);
    await expect(lengthOf(folder.readObject(backup, one))).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
    });
  });

  test("an object that would unpack to more than it should ends early", async () => {
    const object = await folder.storeObject(backup.id, "one", "base", inPieces(Buffer.alloc(1000)));
    const bomb = await folder.storeObject(
      backup.id,
      "two",
      "base",
      inPieces(Buffer.alloc(64 << 20)),
    );
    const packed = await bytesOf(folder.objectPath(backup, bomb));
    await replace(folder.objectPath(backup, object), () => packed);
    await expect(lengthOf(folder.readObject(backup, object))).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
      message: expect.stringContaining("more than the 1000 bytes"),
    });
  });

  test("an object that is gone", async () => {
    const object = await folder.storeObject(backup.id, "one", "base", inPieces(content));
    await storage.remove(folder.objectPath(backup, object));
    await expect(lengthOf(folder.readObject(backup, object))).rejects.toMatchObject({
      code: "OBJECT_MISSING",
    });
  });
});

test("a source that fails half-way leaves no object", async () => {
  const broken = (async function* () {
    yield mixed(3 << 20);
    throw new Error("the database went away");
  })();
  await expect(folder.storeObject(backup.id, "base.tar", "base", broken)).rejects.toThrow(
    "went away",
  );
  expect((await storage.list({ prefix: "" })).objects).toEqual([]);
});

/** Half of it noise, half of it one byte: compressible and not. */
function mixed(size: number): Buffer {
  return Buffer.concat([randomBytes(Math.floor(size / 2)), Buffer.alloc(Math.ceil(size / 2), 7)]);
}

async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 333_333) yield content.subarray(at, at + 333_333);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function bytesOf(path: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(storage.read(path)));
}

async function replace(path: string, change: (bytes: Buffer) => Uint8Array): Promise<void> {
  const bytes = await bytesOf(path);
  await storage.remove(path);
  await storage.create(path, change(bytes));
}

function flip(bytes: Buffer, where: number): Buffer {
  const changed = Buffer.from(bytes);
  const at = place(bytes, where);
  changed[at] = (changed[at] as number) ^ 0x10;
  return changed;
}

/** From the start, from the end when negative, a share when a fraction. */
function place(bytes: Buffer, where: number): number {
  if (!Number.isInteger(where)) return Math.floor(bytes.length * where);
  return where < 0 ? bytes.length + where : where;
}

async function lengthOf(content: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of content) length += chunk.length;
  return length;
}

async function unzstd(stored: Buffer): Promise<Buffer> {
  const scratch = await mkdtemp(join(tmpdir(), "lifeboat-zstd-"));
  try {
    await writeFile(join(scratch, "x.zst"), stored);
    return execFileSync("zstd", ["-dcq", join(scratch, "x.zst")], { maxBuffer: 1 << 28 });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
