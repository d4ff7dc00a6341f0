import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DatabaseFolder, Repository, RepositoryMemory, verify } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { fetchWal } from "@lifeboat/postgres/archive";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkedPart, checkedSegment } from "../../packages/postgres/src/wal/archived-segment.ts";
import { readLogArchive } from "../../packages/postgres/src/wal/log-archive.ts";
import { type EmptySegment, emptySegment } from "../support/empty-segment.ts";

const SYSTEM = 7_000_000_000_000_000_001n;
const MIB = 1 << 20;
const SEGMENT = "000000010000000000000003";
const LABEL = "000000010000000000000003.00000028.backup";

let root: string;
let repository: Repository;
let folder: DatabaseFolder;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lifeboat-wal-"));
  repository = await Repository.open({
    storage: memoryStorage(),
    app: "app",
    memory: new RepositoryMemory(join(root, "state")),
    mode: "write",
  });
  folder = repository.folder("postgres", String(SYSTEM));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const store = (name: string, ...content: Uint8Array[]) =>
  folder.storeLog(name, async function* () {
    yield* content;
  });

const firstPage = (sizes: Partial<EmptySegment> = {}) =>
  emptySegment({ system: SYSTEM, number: 3n, ...sizes });

test("a timeline's history or a backup's label is never read past the size of any, and verify names it", async () => {
  const line = Buffer.from("1\t0/3000000\tno recovery target specified\n");
  const history = Buffer.concat([line, Buffer.alloc(2 * MIB, "# nothing\n")]);
  await store("00000002/00000002.history", history);
  await store(`00000001/${LABEL}`, Buffer.alloc(2 * MIB, "LABEL: none\n"));
  for (const name of ["00000002.history", LABEL])
    await expect(
      fetchWal({ repository, name, destination: join(root, "RECOVERYHISTORY") }),
    ).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
      message: expect.stringContaining("more than the 1048576 bytes"),
    });
  expect((await readdir(root)).filter((name) => name !== "state")).toEqual([]);
  expect((await readLogArchive(folder, MIB)).histories.size).toBe(0);
  const { problems } = await verify({
    repository,
    engines: [postgresEngine({})],
    deep: true,
    signal: new AbortController().signal,
  });
  expect(problems.map(({ object, code }) => [object, code])).toEqual([
    [folder.logPath(`00000001/${LABEL}`), "CHECKSUM_MISMATCH"],
    [folder.logPath("00000002/00000002.history"), "CHECKSUM_MISMATCH"],
  ]);
});

test.each([
  ["3 MiB segments", { segmentBytes: 3 * MIB }],
  ["segments of nothing", { segmentBytes: 0 }],
  ["2 GiB segments", { segmentBytes: 2 ** 31 }],
  ["pages of nothing", { pageBytes: 0 }],
  ["pages of 1 GiB", { pageBytes: 2 ** 30 }],
])("a segment that speaks of %s is refused before any of it is given away", async (_, sizes) => {
  await store(`00000001/${SEGMENT}`, firstPage(sizes));
  await store(`00000001/${SEGMENT}.00100000.part`, firstPage(sizes));
  for (const read of [
    checkedSegment(folder, SEGMENT),
    checkedPart(folder, `${SEGMENT}.00100000.part`),
  ]) {
    const given: Uint8Array[] = [];
    await expect(
      (async () => {
        for await (const chunk of read) given.push(chunk);
      })(),
    ).rejects.toMatchObject({ code: "WAL_INVALID" });
    expect(given).toEqual([]);
  }
});

test("a segment that goes on past its own size is refused there, and not at its end", async () => {
  await store(
    `00000001/${SEGMENT}`,
    firstPage(),
    ...Array.from({ length: 63 }, () => Buffer.alloc(MIB)),
  );
  let given = 0;
  await expect(
    (async () => {
      for await (const chunk of checkedSegment(folder, SEGMENT)) given += chunk.length;
    })(),
  ).rejects.toMatchObject({
    code: "WAL_INVALID",
    message: expect.stringContaining("a segment of its cluster has"),
  });
  expect(given).toBeLessThanOrEqual(MIB);
});
