import { DatabaseFolder } from "@lifeboat/core";
import { expect, test } from "vitest";
import { faultyMemory } from "../../../test/support/faulty-storage.ts";
import { SegmentStore } from "../src/wal/segment-store.ts";

const SEGMENT = 1 << 20;
const START = 4n << 20n;

/** Storing ends, or fails, when the test says so. */
function storeOver(gate: Promise<void>) {
  const storage = faultyMemory((memory) => ({
    create: async (path, content) => {
      const bytes = await memory.create(path, content);
      await gate;
      return bytes;
    },
  }));
  const failures: unknown[] = [];
  const segments = new SegmentStore({
    folder: new DatabaseFolder({
      storage,
      app: "app",
      engine: "postgres",
      database: "7",
      compression: { level: 1, logLevel: 1 },
    }),
    timeline: 1,
    segmentBytes: SEGMENT,
    start: START,
    onFailure: (reason) => failures.push(reason),
  });
  return { segments, failures };
}

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
