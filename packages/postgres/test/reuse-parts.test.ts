import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backupFiles } from "../src/basebackup/parallel/backup-files.ts";
import { LocalFiles } from "../src/basebackup/parallel/local-files.ts";
import { reuseParts } from "../src/basebackup/parallel/reuse-parts.ts";
import type { BaseBackupRequest, StoredPart } from "../src/basebackup/transport.ts";

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "lifeboat-reuse-"));
  await mkdir(join(data, "base"), { mode: 0o700 });
  for (const name of ["1", "2", "3"]) await writeFile(join(data, "base", name), `content ${name}`);
});
afterEach(() => rm(data, { recursive: true, force: true }));

/** An archive that an interrupted run has stored of these files, as they are now. */
async function stored(...names: string[]): Promise<StoredPart & { became?: string }> {
  const files = names.map(async (name) => {
    const { size, mode, mtime } = await stat(join(data, "base", name));
    const sha256 = createHash("sha256").update(`content ${name}`).digest("hex");
    return { path: `base/${name}`, bytes: size, mode: mode & 0o7777, modified: mtime, sha256 };
  });
  const part: StoredPart & { became?: string } = {
    folders: [{ path: "base", mode: 0o700 }],
    files: await Promise.all(files),
    keep: async () => {
      part.became = "kept";
      return true;
    },
    discard: async () => {
      part.became = "discarded";
    },
  };
  return part;
}

/** @returns the files that were kept, and how many bytes count as read */
async function reused(parts: readonly StoredPart[]) {
  const source = new LocalFiles(data, undefined);
  const found = await backupFiles(source, { major: 18, tablespaces: [] });
  let passed = 0;
  const interrupted = {
    parts,
    highestPart: 9,
    reading: (content: AsyncIterable<Uint8Array>) => content,
  };
  const signal = new AbortController().signal;
  const request = { interrupted, jobs: 1, signal } as unknown as BaseBackupRequest;
  const pass = (bytes: number) => {
    passed += bytes;
  };
  const kept = await reuseParts(found, request, { source, pages: null, pass, corrupt: [] });
  return { files: kept.map(({ path }) => path).toSorted(), passed };
}

test("an archive is kept where all that it holds is the same now, and of one path never two", async () => {
  const [one, again, other] = [await stored("1", "2"), await stored("2"), await stored("3")];
  const { files, passed } = await reused([one, again, other]);
  expect([one.became, again.became, other.became]).toEqual(["kept", "discarded", "kept"]);
  expect(files).toEqual(["base/1", "base/2", "base/3"]);
  expect(passed).toBe(3 * "content 1".length);
});

test("what was read of one that is of no use will pass again, and counts as not read", async () => {
  const part = await stored("1", "2", "3");
  await writeFile(join(data, "base", "3"), "CONTENT 3");
  expect(await reused([part])).toEqual({ files: [], passed: 0 });
  expect(part.became).toBe("discarded");
});

test("neither a folder nor a file with other rights than now is taken over", async () => {
  const [file, folder] = [await stored("1"), await stored("2")];
  await chmod(join(data, "base", "1"), 0o600);
  expect((await reused([file])).files).toEqual([]);
  await chmod(join(data, "base"), 0o750);
  expect((await reused([folder])).files).toEqual([]);
});
