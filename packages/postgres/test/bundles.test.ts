import { expect, test } from "vitest";
import type { BackupFile } from "../src/basebackup/parallel/backup-file.ts";
import { bundlesOf } from "../src/basebackup/parallel/bundles.ts";
import { FileList } from "../src/basebackup/parallel/file-list.ts";

const GIB = 1 << 30;
const modifiedMs = Date.now();
const file = (path: string, bytes: number): BackupFile => ({
  path,
  bytes,
  mode: 0o600,
  modifiedMs,
});
const bytesOf = (files: Iterable<BackupFile>) =>
  [...files].reduce((sum, { bytes }) => sum + bytes, 0);

test("no bundle is larger than 1 GiB, and every file is in one", () => {
  const sizes = [1, 0.9, 0.9, 0.7, 0.6, 0.5, 0.3, 0.1].map((part) => Math.floor(part * GIB));
  const files = [0, 1, 2].flatMap((round) =>
    sizes.map((bytes, index) => file(`base/5/${round}${index}`, bytes)),
  );
  const bundles = bundlesOf(FileList.of(files), 1);
  for (const bundle of bundles) expect(bytesOf(bundle.files)).toBeLessThanOrEqual(GIB);
  const packed = bundles.flatMap((bundle) => [...bundle.files].map(({ path }) => path));
  expect(packed.toSorted()).toEqual(files.map(({ path }) => path).toSorted());
});

test("very many small files make bundles of so many that each one's note stays small", () => {
  const files = Array.from({ length: 50_000 }, (_, index) => file(`base/5/${index}`, index % 2));
  const bundles = bundlesOf(FileList.of(files), 2);
  expect(Math.max(...bundles.map((bundle) => bundle.files.length))).toBeLessThanOrEqual(20_000);
});

test("each tablespace is bundled by itself", () => {
  const files = [file("base/5/1", 10), file("pg_tblspc/77/PG_15/5/2", 10)];
  expect(bundlesOf(FileList.of(files), 2).map(({ tablespace }) => tablespace)).toEqual([null, 77]);
});

test("files that rest are not bundled with those that were written lately, and each is in one bundle", () => {
  const hour = 60 * 60_000;
  const files = Array.from({ length: 10 }, (_, index) => ({
    ...file(`base/5/${index}`, 10),
    modifiedMs: index < 6 ? modifiedMs - 2 * hour : modifiedMs - hour / 2,
  }));
  const bundles = bundlesOf(FileList.of([...files, file("base/5/new", 1)]), 1);
  const paths = bundles.map((bundle) => [...bundle.files].map(({ path }) => path));
  const [resting, written, ...more] = paths;
  expect(more).toEqual([]);
  expect(resting).toEqual(files.slice(0, 6).map(({ path }) => path));
  expect(written).toEqual([...files.slice(6).map(({ path }) => path), "base/5/new"]);
});
