import { expect, test } from "vitest";
import { heldMemory } from "../../../test/support/held-memory.ts";
import type { BackupFile } from "../src/basebackup/parallel/backup-file.ts";
import { FileList } from "../src/basebackup/parallel/file-list.ts";

const FILES = 100_000;
const MOST_BYTES_EACH = 96;

const fileOf = (n: number): BackupFile => ({
  path: n === 7 ? "base/5/größe 🛟" : `base/5/${1_000_000 + n}`,
  bytes: n % 3 === 0 ? 2 ** 40 : 8192,
  mode: 0o640,
  modifiedMs: 1e12 + n + 0.25,
});

test("a list of a hundred thousand files gives each back as it was, and takes less than a hundred bytes for one", () => {
  const before = heldMemory();
  const list = new FileList();
  for (let n = 0; n < FILES; n++) list.add(fileOf(n));
  expect(heldMemory() - before).toBeLessThan(FILES * MOST_BYTES_EACH);
  expect(list.length).toBe(FILES);
  for (const n of [0, 7, 8, 1023, 1024, FILES - 1]) expect(list.at(n)).toEqual(fileOf(n));
  expect(list.newestMs).toBe(1e12 + FILES - 1 + 0.25);
  const order = list.largestFirst();
  expect([...order.slice(0, 3)]).toEqual([0, 3, 6]);
  expect(list.at(order.at(-1) as number)).toEqual(fileOf(FILES - 2));
  expect([...list.select([7, 1])]).toEqual([fileOf(7), fileOf(1)]);
});
