import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { HeldFile } from "../src/hold/held.ts";
import { ShippedElsewhere } from "../src/watch/hold-elsewhere.ts";
import { HoldServer } from "../src/watch/hold-server.ts";

async function socketPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-hold-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, "hold.sock");
}

const NOTHING = { identity: () => "1:1", idle: () => null, walBytes: () => 0, mostGrowth: 1 };

test("what a killed watch left in its socket's place is replaced, and a path that is too long for one is none", async () => {
  const path = await socketPath();
  await writeFile(path, "");
  const shipped = { lineage: null, hold: async () => undefined };
  const server = await HoldServer.open({ path, shipped, ...NOTHING });
  const watch = await ShippedElsewhere.find(path, "");
  expect(await watch?.isSilent()).toBe(false);
  watch?.close();
  await server?.close();
  const long = join(path, "..", "x".repeat(103));
  expect(await HoldServer.open({ path: long, shipped, ...NOTHING })).toBeUndefined();
});

test("a backup that is stopped while the file is being taken hold of leaves it held by nobody", async () => {
  const path = await socketPath();
  const { promise: released, resolve: release } = Promise.withResolvers<"released">();
  const place = { salt1: 1, salt2: 2, frames: 0, checksum1: 3, checksum2: 4 };
  const file = {
    ...{ way: "pin", consistentAt: new Date(), place, gateMs: 0 },
    release: () => release("released"),
  } as unknown as HeldFile;
  const stop = new AbortController();
  const server = await HoldServer.open({
    path,
    shipped: {
      lineage: null,
      // It has the file only once whoever asked for it is gone.
      hold: ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve(file));
          stop.abort();
        }),
    },
    ...NOTHING,
  });
  const watch = await ShippedElsewhere.find(path, `${path}.db`);
  await expect(watch?.hold({ patienceMs: 1000, signal: stop.signal })).rejects.toThrow();
  expect(await released).toBe("released");
  await server?.close();
});
