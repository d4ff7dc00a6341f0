import { expect, test } from "vitest";
import { backupChain, byChain } from "../src/backup-chain.ts";
import type { DatabaseFolder } from "../src/database-folder.ts";
import type { Engine } from "../src/engine.ts";
import { LifeboatError } from "../src/errors.ts";
import type { Manifest } from "../src/manifest.ts";
import { reachOf } from "../src/reach-of.ts";

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

test("those that lack something are told from those that lack nothing, and what each lacks is named", () => {
  const all = [
    backupOf("grandchild", "child"),
    backupOf("whole", null),
    backupOf("child", "lost"),
    backupOf("upon", "whole"),
    backupOf("round", "about"),
    backupOf("about", "round"),
    backupOf("beside", "round"),
  ];
  const { whole, broken } = byChain(all);
  expect(whole.map(({ id }) => id)).toEqual(["whole", "upon"]);
  const lacks = [...broken].map(([{ id }, { code, details }]) => [id, code, details.parent]).sort();
  expect(lacks).toEqual([
    ["about", "MANIFEST_CORRUPT", undefined],
    ["beside", "MANIFEST_CORRUPT", undefined],
    ["child", "BACKUP_PARENT_MISSING", "lost"],
    ["grandchild", "BACKUP_PARENT_MISSING", "lost"],
    ["round", "MANIFEST_CORRUPT", undefined],
  ]);
});

test("what keeps a database's windows from being told hides no backup that lacks its parent", async () => {
  const all = [backupOf("whole", null), backupOf("orphan", "lost")];
  const folder = { path: "app/sqlite/app", backupPath: (id: string) => id } as DatabaseFolder;
  const reach = async () => {
    const wrong = { code: "MANIFEST_CORRUPT", message: "wrong details", remedy: "" };
    throw new LifeboatError({ ...wrong, details: { backup: "whole" } });
  };
  const none = async () => ({ windows: [], holes: [] });
  const whole = await reachOf({ reach: none } as unknown as Engine, folder, all);
  expect(whole.problems.map(({ object }) => object)).toEqual(["orphan/manifest.json"]);
  const { problems } = await reachOf({ reach } as unknown as Engine, folder, all);
  expect(problems.map(({ object, code }) => [object, code])).toEqual([
    ["orphan/manifest.json", "BACKUP_PARENT_MISSING"],
    ["whole/manifest.json", "MANIFEST_CORRUPT"],
  ]);
});

test("a chain of a hundred thousand backups is walked over once", () => {
  const all = Array.from({ length: 100_000 }, (_, n) =>
    backupOf(String(n), n === 0 ? null : String(n - 1)),
  ).reverse();
  expect(byChain(all).broken.size).toBe(0);
  expect(backupChain(all[0] as Manifest, all)).toHaveLength(100_000);
});
