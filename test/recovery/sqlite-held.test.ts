import { stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ownLocks, PINNED, SHARED } from "../support/own-locks.ts";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

const linux = process.platform === "linux";

/** Takes a snapshot, and says which locks were held while its content was stored: at its first byte and behind its last. */
async function locksWhileStored(journalMode: "wal" | "delete", streamed: boolean) {
  const folder = await testFolder();
  const limits = streamed ? { spareBytes: Number.MAX_SAFE_INTEGER } : {};
  const app = new SqliteApp(folder, join(folder, "app.db"), limits);
  makeLedger(app.path, { rows: 2000, journalMode });
  const file = journalMode === "wal" ? `${app.path}-shm` : app.path;
  const locks = async () => {
    const there = await stat(file).catch(() => undefined);
    return there ? ownLocks(file) : [];
  };
  const seen: string[][] = [];
  const { folder: place } = await app.manifests();
  await app.engine.snapshot({
    folder: place,
    id: "20261122T101500.123Z-full",
    ...{ type: "full", parents: [], leftovers: [], options: {} },
    async store(name, role, content, beside) {
      const watched = async function* () {
        let first = true;
        for await (const chunk of content) {
          if (first) seen.push(await locks());
          first = false;
          yield chunk;
        }
        seen.push(await locks());
      };
      const through = role === "database" ? watched() : content;
      return place.storeObject("20261122T101500.123Z-full", name, role, through, beside);
    },
    report: () => {},
    signal: new AbortController().signal,
  });
  expect(seen).toHaveLength(2);
  return seen;
}

test.runIf(linux).each(["wal", "delete"] as const)(
  "the file is let go once it is copied, before anything of it is compressed (journal mode %s)",
  async (journalMode) => {
    expect(await locksWhileStored(journalMode, false)).toEqual([[], []]);
  },
);

test.runIf(linux).each([
  ["wal", PINNED],
  ["delete", SHARED],
] as const)(
  "without room for a copy the file is held until its last byte is stored, though another process reads it (journal mode %s)",
  async (journalMode, lock) => {
    for (const locks of await locksWhileStored(journalMode, true)) expect(locks).toContain(lock);
  },
);
