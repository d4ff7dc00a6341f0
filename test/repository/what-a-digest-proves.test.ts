import { DatabaseFolder, type Manifest, type ManifestObject, type Storage } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { beforeEach, expect, test } from "vitest";
import { faultyStorage, whole } from "../support/faulty-storage.ts";

const backup = { id: "20261122T101500.123Z-full" } as Manifest;
const mismatch = { code: "CHECKSUM_MISMATCH" };
/** Three frames, so that a reader could give away two of them too early. */
const content = Buffer.alloc((2 << 20) + 1000, "content");

let storage: Storage;
let folder: DatabaseFolder;
beforeEach(() => {
  storage = memoryStorage();
  folder = folderOn(storage);
});

test("stored bytes that differ and unpack to the same are found, before the content is whole", async () => {
  const object = await store();
  await lengthen(folder.objectPath(backup, object));
  const { bytes, failure } = await readAll(object);
  expect(failure).toMatchObject(mismatch);
  expect(bytes).toBeLessThan(content.length);
});

test("content that is not what the manifest says is found, before it is whole", async () => {
  const object = await store();
  const other = { ...object, content: { ...object.content, sha256: "0".repeat(64) } };
  const { bytes, failure } = await readAll(other);
  expect(failure).toMatchObject(mismatch);
  expect(bytes).toBeLessThan(content.length);
});

test("content that is shorter than the manifest says is found", async () => {
  const object = await store();
  const longer = { ...object, content: { ...object.content, bytes: content.length + 1 } };
  expect((await readAll(longer)).failure).toMatchObject(mismatch);
});

test("a storage that keeps less than it was given is known when the object is stored", async () => {
  const forgetful = faultyStorage(storage, {
    create: async (path, bytes) => storage.create(path, (await whole(bytes)).subarray(0, -1)),
  });
  const storing = folderOn(forgetful).storeObject(backup.id, "base.tar", "base", once(content));
  await expect(storing).rejects.toMatchObject(mismatch);
});

test("of two that store a log object at once, the later is told whether it is the same", async () => {
  const meanwhile = (theirs: Buffer) =>
    async function* () {
      // Asked for when it was seen that nothing lies there, and before ours is created.
      await folder.storeLog(name, () => once(theirs));
      yield content;
    };
  let name = "1/same";
  expect(await folder.storeLog(name, meanwhile(content))).toBe("present");
  name = "1/other";
  await expect(folder.storeLog(name, meanwhile(Buffer.from("other")))).rejects.toMatchObject({
    code: "LOG_OBJECT_DIFFERS",
  });
});

test("a log object that is damaged does not count as archived", async () => {
  await folder.storeLog("1/a", () => once(content));
  await lengthen(folder.logPath("1/a"));
  await expect(folder.storeLog("1/a", () => once(content))).rejects.toMatchObject(mismatch);
});

function folderOn(place: Storage): DatabaseFolder {
  return new DatabaseFolder({
    storage: place,
    app: "app",
    engine: "postgres",
    database: "7",
    compression: { level: 3, logLevel: 1 },
  });
}

function store(): Promise<ManifestObject> {
  return folder.storeObject(backup.id, "base.tar", "base", once(content));
}

/** Puts a frame before it that zstd passes over (RFC 8878, 3.1.2): the content stays as it was. */
async function lengthen(path: string): Promise<void> {
  const bytes = await whole(storage.read(path));
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0]);
  await storage.remove(path);
  await storage.create(path, Buffer.concat([skipped, bytes]));
}

async function readAll(object: ManifestObject): Promise<{ bytes: number; failure: unknown }> {
  let bytes = 0;
  try {
    for await (const chunk of folder.readObject(backup, object)) bytes += chunk.length;
    return { bytes, failure: undefined };
  } catch (failure) {
    return { bytes, failure };
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
