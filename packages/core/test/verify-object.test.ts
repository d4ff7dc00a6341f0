import { zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import type { DatabaseFolder } from "../src/database-folder.ts";
import { checkObject, type Tally } from "../src/verify-object.ts";

test.each([false, true])(
  "a check that is stopped in the midst of an object ends there, and takes it for no damage (deep %s)",
  async (deep) => {
    const stop = new AbortController();
    const frame = zstdCompressSync(Buffer.alloc(1 << 20, "content"));
    async function* read() {
      yield Buffer.from(frame);
      stop.abort(new Error("stopped"));
      for (let n = 0; n < 5; n++) yield Buffer.from(frame);
    }
    const folder = { storage: { read } } as unknown as DatabaseFolder;
    const digest = { bytes: 6 << 20, sha256: "0".repeat(64) };
    const object = { object: "a.zst", role: "database", content: digest, stored: digest };
    const tally: Tally = { objects: 0, bytes: 0, problems: [] };
    const how = { deep, signal: stop.signal, tally, passed: () => {} };
    await expect(checkObject(folder, "a.zst", object, how)).rejects.toThrow("stopped");
    expect(tally.problems).toEqual([]);
  },
);
