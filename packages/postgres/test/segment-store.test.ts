import { PassThrough } from "node:stream";
import { LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { expect, test } from "vitest";
import { faultyMemory } from "../../../test/support/faulty-storage.ts";
import { partName } from "../src/wal/segment-part.ts";
import { SegmentStore } from "../src/wal/segment-store.ts";
import { throttledTake } from "../src/wal/throttled-take.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
const START = 4n << 20n;

/** Storing ends, or fails, when the test says so. @param shipped by an earlier run */
function storeOver(
  gate: Promise<void>,
  shipped?: { upTo: bigint; parts: string[] },
  storage = faultyMemory((memory) => ({
    create: async (path, content) => {
      const bytes = await memory.create(path, content);
      await gate;
      return bytes;
    },
  })),
) {
  const failures: unknown[] = [];
  const folder = clusterFolder({ storage });
  const segments = new SegmentStore({
    ...{ folder, shipped },
    timeline: 1,
    segmentBytes: SEGMENT,
    start: START,
    onFailure: (reason) => failures.push(reason),
  });
  const stored = async () => (await Array.fromAsync(folder.listLog())).map(({ name }) => name);
  return { segments, failures, folder, stored };
}

const partOf = (offset: number) => partName("000000010000000000000004", offset);

test("a segment is durable when the repository has said so, and not before", async () => {
  const gate = Promise.withResolvers<void>();
  const { segments } = storeOver(gate.promise);
  segments.take(Buffer.alloc(SEGMENT - 1));
  expect(segments.pending).toBe(0);
  segments.take(Buffer.alloc(2));
  await new Promise((resolve) => setImmediate(resolve));
  expect([segments.pending, segments.durable]).toEqual([1, START]);
  gate.resolve();
  await segments.settled();
  expect([segments.pending, segments.durable]).toEqual([0, START + BigInt(SEGMENT)]);
});

test("after a segment that could not be stored nothing counts as durable, and why is told", async () => {
  const reason = new Error("no room");
  const { segments, failures } = storeOver(Promise.reject(reason));
  segments.take(Buffer.alloc(3 * SEGMENT));
  await expect(segments.settled()).rejects.toBe(reason);
  expect(segments.durable).toBe(START);
  expect(failures).toContain(reason);
});

test("a part that an earlier run has shipped stays until there is more, and is durable all the while", async () => {
  const { segments, folder, stored } = storeOver(Promise.resolve(), {
    upTo: START + 5000n,
    parts: [partOf(5000)],
  });
  await folder.storeLog(partOf(5000), async function* () {
    yield Buffer.alloc(5000);
  });
  // As it comes from the server once more, from its first byte.
  segments.take(Buffer.alloc(4000));
  await segments.shipPart();
  expect([segments.durable, await stored()]).toEqual([START + 5000n, [partOf(5000)]]);
  segments.take(Buffer.alloc(2000));
  await segments.shipPart();
  expect([segments.durable, await stored()]).toEqual([START + 6000n, [partOf(6000)]]);
});

test("a part that the storage does not let go yet stays, nothing waits for it, and it goes with the next", async () => {
  let isLocked = true;
  const storage = faultyMemory((memory) => ({
    remove: async (path) => {
      if (isLocked)
        throw new LifeboatError({
          code: "OBJECT_LOCKED",
          message: `${path} is locked`,
          remedy: "wait",
        });
      return memory.remove(path);
    },
  }));
  const { segments, stored } = storeOver(Promise.resolve(), undefined, storage);
  for (const bytes of [100, 100]) {
    segments.take(Buffer.alloc(bytes));
    await segments.shipPart();
  }
  expect([segments.durable, await stored()]).toEqual([START + 200n, [partOf(100), partOf(200)]]);
  isLocked = false;
  segments.take(Buffer.alloc(SEGMENT - 200));
  await segments.settled();
  expect(await stored()).toEqual(["00000001/000000010000000000000004"]);
});

test("a part that is too short to say whose it is is not shipped; what was shipped before a hole is not where this begins", async () => {
  const { segments, stored } = storeOver(Promise.resolve(), { upTo: START - 7n, parts: [] });
  expect(segments.durable).toBe(START);
  segments.take(Buffer.alloc(39));
  await segments.shipPart();
  expect(await stored()).toEqual([]);
  segments.take(Buffer.alloc(1));
  await segments.shipPart();
  expect(await stored()).toEqual([partOf(40)]);
});

test("a server waits to send while segments wait for the repository, and goes on when they are stored or have failed", async () => {
  for (const isStored of [true, false]) {
    const gate = Promise.withResolvers<void>();
    const { segments } = storeOver(gate.promise);
    const stream = new PassThrough();
    const take = throttledTake({ connection: { stream } } as unknown as pg.Client, segments);
    take(Buffer.alloc(SEGMENT));
    expect(stream.isPaused()).toBe(false);
    take(Buffer.alloc(2 * SEGMENT));
    expect(stream.isPaused()).toBe(true);
    if (isStored) gate.resolve();
    else gate.reject(new Error("no room"));
    await expect.poll(() => stream.isPaused()).toBe(false);
  }
});
