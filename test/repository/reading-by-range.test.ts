import { createHash, randomBytes } from "node:crypto";
import {
  DatabaseFolder,
  type Manifest,
  type ManifestObject,
  ObjectRanges,
  RANGE_BYTES,
  type Storage,
} from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { beforeEach, describe, expect, test } from "vitest";

const backup = { id: "20261122T101500.123Z-full" } as Manifest;

let storage: Storage;
let folder: DatabaseFolder;
let readBytes: number;
beforeEach(() => {
  const memory = memoryStorage();
  readBytes = 0;
  storage = {
    ...memory,
    create: memory.create.bind(memory),
    list: memory.list.bind(memory),
    stat: memory.stat.bind(memory),
    remove: memory.remove.bind(memory),
    async *read(path, range) {
      for await (const chunk of memory.read(path, range)) {
        readBytes += chunk.length;
        yield chunk;
      }
    },
  } as Storage;
  folder = new DatabaseFolder({
    storage,
    app: "app",
    engine: "postgres",
    database: "7",
    compression: { level: 3, logLevel: 1 },
  });
});

async function* inPieces(bytes: Buffer, size = 300_007): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function stored(content: Buffer) {
  const ranges = new ObjectRanges();
  const object = await folder.storeObject(backup.id, "base.tar", "base", inPieces(content), {
    ranges,
  });
  return { object, ranges };
}

/** A copy made whole: what was read where it differed, else what it held; and which ranges were read. */
async function completed(
  { object, ranges }: { object: ManifestObject; ranges: ObjectRanges },
  copy: Buffer,
  lacking: readonly number[] = [],
  read: number[] = [],
) {
  const reading = folder.readByRange(backup, object, ranges);
  const parts: Uint8Array[] = [];
  try {
    for (let index = 0; index < ranges.count; index++) {
      const local = copy.subarray(index * RANGE_BYTES, (index + 1) * RANGE_BYTES);
      const right = await reading.next(lacking.includes(index) ? undefined : local);
      if (right) read.push(index);
      parts.push(right ?? local);
    }
    await reading.finish();
  } finally {
    await reading.close();
  }
  return { content: Buffer.concat(parts), read };
}

const sizes = [1, RANGE_BYTES - 1, RANGE_BYTES, RANGE_BYTES + 1, 6 * RANGE_BYTES + 12_345];

test.each(sizes)("of %i bytes each MiB has its frame and its digest", async (size) => {
  const content = randomBytes(size);
  const { object, ranges } = await stored(content);
  expect(ranges.count).toBe(Math.ceil(size / RANGE_BYTES));
  let all = 0;
  for (let index = 0; index < ranges.count; index++) {
    const before = content.subarray(0, (index + 1) * RANGE_BYTES);
    const sha256 = createHash("sha256").update(before).digest("hex");
    expect(ranges.digest(index)).toBe(sha256.slice(0, 32));
    all += ranges.frame(index);
  }
  expect(all).toBe(object.stored.bytes);
});

test("a copy that agrees is not read at all", async () => {
  const content = randomBytes(5 * RANGE_BYTES + 99);
  const { read } = await completed(await stored(content), content);
  expect(read).toEqual([]);
  expect(readBytes).toBe(0);
});

test.each([
  { what: "one byte", at: [3] },
  { what: "the first and the last", at: [0, 7] },
  { what: "a run", at: [2, 3, 4, 5, 6] },
  { what: "everything", at: [0, 1, 2, 3, 4, 5, 6, 7] },
])("of a copy that differs in $what exactly that is read", async ({ at }) => {
  const content = randomBytes(7 * RANGE_BYTES + 4321);
  const copy = Buffer.from(content);
  for (const index of at) {
    const place = index * RANGE_BYTES + 100;
    copy.writeUInt8(copy.readUInt8(place) ^ 1, place);
  }
  const found = await completed(await stored(content), copy);
  expect(found.content.equals(content)).toBe(true);
  expect(found.read).toEqual(at);
  if (at.length === 1) expect(readBytes).toBeLessThan(2 * RANGE_BYTES);
});

test("behind a run that differs and one that agrees, one range by itself is read by itself", async () => {
  const content = randomBytes(9 * RANGE_BYTES);
  const { read } = await completed(await stored(content), content, [0, 1, 2, 5]);
  expect(read).toEqual([0, 1, 2, 5]);
  expect(readBytes).toBeLessThan(4.5 * RANGE_BYTES);
});

test("what a copy lacks is read even where the rest of its range is zeros as in the original", async () => {
  const content = Buffer.alloc(3 * RANGE_BYTES);
  const found = await completed(await stored(content), Buffer.alloc(content.length), [1]);
  expect(found.read).toEqual([1]);
});

describe("damage is told before any of it is given", () => {
  async function damaged(change: (object: Buffer) => Buffer) {
    const content = randomBytes(4 * RANGE_BYTES);
    const made = await stored(content);
    const path = folder.objectPath(backup, made.object);
    const bytes = Buffer.concat(await Array.fromAsync(storage.read(path)));
    await storage.remove(path);
    await storage.create(path, change(bytes));
    const copy = Buffer.from(content);
    copy.fill(0, 2 * RANGE_BYTES, 2 * RANGE_BYTES + 10);
    const given: number[] = [];
    return completed(made, copy, [], given).finally(() => expect(given).toEqual([]));
  }

  test("a flipped byte", async () => {
    const flipped = (bytes: Buffer) => {
      const at = Math.floor(bytes.length * 0.6);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    };
    await expect(damaged(flipped)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
  });

  test("an end that is missing", async () => {
    const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2);
    await expect(damaged(cut)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
  });

  test("an object of another content, whole in itself", async () => {
    const other = await stored(randomBytes(4 * RANGE_BYTES));
    const path = folder.objectPath(backup, other.object);
    const bytes = Buffer.concat(await Array.fromAsync(storage.read(path)));
    await storage.remove(path);
    await expect(damaged(() => bytes)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
  });

  test("ranges that are not those of the object", async () => {
    const content = randomBytes(3 * RANGE_BYTES);
    const { object, ranges } = await stored(content);
    const fewer = new ObjectRanges();
    for (let index = 0; index < 2; index++) {
      fewer.addFrame(ranges.frame(index));
      fewer.addDigest(ranges.digest(index));
    }
    await expect(completed({ object, ranges: fewer }, content)).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
    });
  });
});
