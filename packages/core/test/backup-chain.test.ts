import { expect, test } from "vitest";
import { backupChain } from "../src/backup-chain.ts";
import type { Manifest } from "../src/manifest.ts";

const backupOf = (id: string, parent: string | null) => ({ id, parent }) as unknown as Manifest;

test("a chain leads from the full backup to the one asked for, whatever the order of the rest", () => {
  const all = [backupOf("3", "2"), backupOf("1", null), backupOf("other", "1"), backupOf("2", "1")];
  expect(backupChain(all[0] as Manifest, all).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  expect(backupChain(all[1] as Manifest, all).map(({ id }) => id)).toEqual(["1"]);
});

test("a parent that is not there is named", () => {
  const lost = backupOf("2", "1");
  expect(() => backupChain(lost, [lost])).toThrow(/2 builds on 1, which is not there/);
});

test("parents that lead round in a circle end with an error", () => {
  const all = [backupOf("1", "2"), backupOf("2", "1")];
  expect(() => backupChain(all[0] as Manifest, all)).toThrow(/builds on itself/);
});
