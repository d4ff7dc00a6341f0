import type { Storage } from "@lifeboat/core";
import { expect, test } from "vitest";
import { faultyMemory } from "../../../test/support/faulty-storage.ts";
import { archivedFile } from "../src/wal/archived-file.ts";
import { logName } from "../src/wal/segment-name.ts";
import { partName } from "../src/wal/segment-part.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = "000000010000000000000011";

/** Stores a longer part in place of the first one, when it is told to. */
async function replaced(wrap: (memory: Storage, replace: () => Promise<void>) => Partial<Storage>) {
  let isDue = false;
  const storage = faultyMemory((memory) =>
    wrap(memory, async () => {
      if (!isDue) return;
      isDue = false;
      await store(0x4000);
      await memory.remove(folder.logPath(partName(SEGMENT, 0x2000)));
    }),
  );
  const folder = clusterFolder({ storage });
  const store = (offset: number) =>
    folder.storeLog(partName(SEGMENT, offset), () => chunks(Buffer.alloc(offset, 1)));
  await store(0x2000);
  isDue = true;
  return folder;
}

test("a part that a receiver replaced since it was listed is read as the longer one", async () => {
  const folder = await replaced((memory, replace) => ({
    read: (path, range) =>
      (async function* () {
        if (path.includes(".part")) await replace();
        yield* memory.read(path, range);
      })(),
  }));
  const content = await archivedFile(folder, SEGMENT);
  // Neither holds a WAL page: what is told of it names the object that was read.
  await expect(Array.fromAsync(content ?? [])).rejects.not.toMatchObject({
    code: "OBJECT_MISSING",
  });
});

test("a part that a receiver replaced while it was listed, so that no listing held either, is no end of the archive", async () => {
  const folder = await replaced((memory, replace) => ({
    async list(options) {
      const page = await memory.list(options);
      await replace();
      const there = await Promise.all(page.objects.map(({ path }) => memory.stat(path)));
      return { ...page, objects: page.objects.filter((_, at) => there[at] !== undefined) };
    },
  }));
  const content = await archivedFile(folder, SEGMENT);
  expect(content).toBeDefined();
  await expect(Array.fromAsync(content ?? [])).rejects.toMatchObject({
    message: expect.stringContaining("00004000.part"),
  });
});

test("a segment that a receiver shipped whole while its parts were looked for is no end of the archive, and no hole", async () => {
  const NEXT = "000000010000000000000012";
  for (const later of [[], [NEXT]]) {
    let isDue = true;
    const folder = await replaced((memory) => ({
      async list(options) {
        if (isDue) {
          isDue = false;
          for (const segment of [SEGMENT, ...later])
            await folder.storeLog(logName(segment), () => chunks(Buffer.alloc(0x8000, 1)));
          await memory.remove(folder.logPath(partName(SEGMENT, 0x2000)));
        }
        return memory.list(options);
      },
    }));
    await folder.storage.create("app/lifeboat.json", Buffer.from("{}"));
    const content = await archivedFile(folder, SEGMENT);
    await expect(Array.fromAsync(content ?? [])).rejects.toMatchObject({ code: "WAL_INVALID" });
  }
});

test("a part before a whole segment is the beginning of a hole, also as the first of its timeline", async () => {
  const folder = await replaced(() => ({}));
  await folder.storage.create("app/lifeboat.json", Buffer.from("{}"));
  await folder.storeLog(logName("000000010000000000000012"), () => chunks(Buffer.alloc(40, 1)));
  await expect(archivedFile(folder, SEGMENT)).rejects.toMatchObject({ code: "WAL_GAP" });
});

test("a segment of which there is nothing is the end of the archive", async () => {
  const folder = await replaced(() => ({}));
  await folder.storage.create("app/lifeboat.json", Buffer.from("{}"));
  expect(await archivedFile(folder, "000000010000000000000012")).toBeUndefined();
});

async function* chunks(...all: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* all;
}
