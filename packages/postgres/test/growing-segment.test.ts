import { DatabaseFolder } from "@lifeboat/core";
import { expect, test } from "vitest";
import { faultyMemory } from "../../../test/support/faulty-storage.ts";
import { archivedFile } from "../src/wal/archived-file.ts";
import { partName } from "../src/wal/segment-part.ts";

const SEGMENT = "000000010000000000000011";

test("a part that a receiver replaced since it was listed is read as the longer one", async () => {
  let replace: (() => Promise<void>) | undefined;
  const storage = faultyMemory((memory) => ({
    read: (path, range) =>
      (async function* () {
        const now = path.includes(".part") ? replace : undefined;
        if (now) replace = undefined;
        await now?.();
        yield* memory.read(path, range);
      })(),
  }));
  const folder = new DatabaseFolder({
    storage,
    app: "app",
    engine: "postgres",
    database: "7",
    compression: { level: 1, logLevel: 1 },
  });
  const store = (offset: number) =>
    folder.storeLog(partName(SEGMENT, offset), () => chunks(Buffer.alloc(offset, 1)));
  await store(0x2000);
  replace = async () => {
    await store(0x4000);
    await storage.remove(folder.logPath(partName(SEGMENT, 0x2000)));
  };
  const content = await archivedFile(folder, SEGMENT);
  // Neither holds a WAL page: what is told of it names the object that was read.
  await expect(Array.fromAsync(content ?? [])).rejects.not.toMatchObject({
    code: "OBJECT_MISSING",
  });
});

async function* chunks(...all: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* all;
}
