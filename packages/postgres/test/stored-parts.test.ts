import type { LogNote } from "@lifeboat/core";
import { expect, test } from "vitest";
import { TAR_END, tarHeader, tarPadding } from "../src/basebackup/parallel/tar-header.ts";
import { isPart, offeredPart, type PartFacts, partNote } from "../src/snapshot/stored-parts.ts";
import { TarRanges } from "../src/snapshot/tar-ranges.ts";

const OBJECT = "16385.0003.tar.zst";
const FACTS: PartFacts = {
  systemIdentifier: "7300000000000000001",
  serverVersion: 150018,
  timeline: 1,
  level: 3,
};
const modified = new Date("2026-11-22T10:15:00Z");
const SHA256 = "ab".repeat(32);

async function* tar(): AsyncGenerator<Uint8Array> {
  const folder = { path: "PG_15_202209061", bytes: 0, mode: 0o700, modified };
  yield tarHeader({ ...folder, kind: "directory" });
  const file = { path: "PG_15_202209061/5/größe", bytes: 3, mode: 0o600, modified };
  yield tarHeader({ ...file, kind: "file" });
  yield Buffer.from("abc");
  yield tarPadding(3);
  yield TAR_END;
}

async function noteOf(digests = [SHA256]): Promise<LogNote> {
  const ranges = new TarRanges();
  for await (const _ of ranges.watching(tar()));
  return partNote(FACTS, ranges.lines(OBJECT), digests);
}

const offered = (note: LogNote | undefined, facts: PartFacts = FACTS) =>
  offeredPart(
    {
      object: OBJECT,
      note: async () => note,
      keep: async () => undefined,
      remove: async () => {},
    },
    facts,
  );

test("a part tells by its note which files and folders it holds", async () => {
  expect(await offered(await noteOf())).toMatchObject({
    tablespace: 16385,
    number: 3,
    folders: [{ path: "pg_tblspc/16385/PG_15_202209061", mode: 0o700 }],
    files: [
      {
        path: "pg_tblspc/16385/PG_15_202209061/5/größe",
        bytes: 3,
        mode: 0o600,
        modified,
        sha256: SHA256,
      },
    ],
  });
});

test.each<[string, Partial<PartFacts>]>([
  ["cluster", { systemIdentifier: "7300000000000000002" }],
  ["server version", { serverVersion: 150019 }],
  ["timeline", { timeline: 2 }],
  ["level of compression", { level: 4 }],
])("a part of another %s is of no use", async (_, other) => {
  expect(await offered(await noteOf(), { ...FACTS, ...other })).toBeUndefined();
});

test("a note that is none of ours is none to go on with", async () => {
  const note = await noteOf();
  expect(await offered(undefined)).toBeUndefined();
  expect(await offered({ ...note, ranges: "abc" })).toBeUndefined();
  expect(await offered({ ...note, digests: ["abc"] })).toBeUndefined();
  expect(await offered(await noteOf([]))).toBeUndefined();
  expect(await offered(await noteOf(["ab"]))).toBeUndefined();
});

test("only archives that one of several workers made are parts", () => {
  expect(["base.0001.tar.zst", OBJECT].every(isPart)).toBe(true);
  const others = ["base.tar.zst", "16385.tar.zst", "ranges.zst", "settings/base.0001.tar.zst"];
  expect(others.some(isPart)).toBe(false);
});
