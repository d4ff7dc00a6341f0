import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { PageCheck, type PageLayout } from "../src/basebackup/parallel/page-check.ts";

const PAGE = 8192;

describe("pages as a server wrote them", () => {
  let cluster: TestCluster;
  let file: Buffer;
  let path: string;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.query("create table t as select i from generate_series(1, 2000) i");
    await cluster.query("checkpoint");
    const [row] = await cluster.query<{ path: string }>("select pg_relation_filepath('t') as path");
    path = row?.path as string;
    const handle = await open(join(cluster.dataDirectory, path));
    file = await handle.readFile();
    await handle.close();
  });
  afterAll(() => cluster?.stop());

  let layout: PageLayout;
  beforeEach(() => {
    layout = { blockBytes: PAGE, segmentBlocks: 131_072, startLsn: 0xffff_ffff_ffff_ffffn };
  });

  /** What the file holds when it is read again. */
  async function checked(chunk: Buffer, again: () => Buffer = () => chunk, name = path) {
    const check = PageCheck.of(name, layout, async (offset, length) =>
      again().subarray(offset, offset + length),
    );
    await check?.check(chunk, 0);
    return check?.corrupt;
  }

  test("fit their checksums", async () => {
    expect(file.length).toBeGreaterThan(3 * PAGE);
    expect(await checked(Buffer.from(file))).toEqual([]);
  });

  test("do not fit any more with one bit turned, and the block is named", async () => {
    const damaged = Buffer.from(file);
    damaged.writeUInt8(damaged.readUInt8(2 * PAGE + 5000) ^ 0x10, 2 * PAGE + 5000);
    expect(await checked(damaged)).toEqual([{ path, block: 2 }]);
  });

  test("that lie at another block's place do not fit", async () => {
    const swapped = Buffer.concat([file.subarray(PAGE, 2 * PAGE), file.subarray(0, PAGE)]);
    expect(await checked(swapped)).toEqual([
      { path, block: 0 },
      { path, block: 1 },
    ]);
  });

  test("of a relation's second file count on from its first", async () => {
    layout = { ...layout, segmentBlocks: 1 };
    expect(await checked(file.subarray(PAGE, 2 * PAGE), undefined, `${path}.1`)).toEqual([]);
    const damaged = Buffer.from(file.subarray(PAGE, 2 * PAGE));
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    expect(await checked(damaged, undefined, `${path}.1`)).toEqual([
      { path: `${path}.1`, block: 0 },
    ]);
  });

  test("that were read while they were written are read again, and that goes into the backup", async () => {
    const torn = Buffer.from(file);
    torn.fill(0xee, PAGE + 4096, 2 * PAGE);
    let looks = 0;
    const corrupt = await checked(torn, () => {
      looks++;
      return looks < 2 ? Buffer.from(torn) : file;
    });
    expect(corrupt).toEqual([]);
    expect(torn.equals(file)).toBe(true);
  });

  test("that were written after the backup began are left to replay", async () => {
    const damaged = Buffer.from(file);
    damaged.writeUInt8(damaged.readUInt8(5000) ^ 0x10, 5000);
    layout = { ...layout, startLsn: 1n };
    expect(await checked(damaged)).toEqual([]);
    // Positions are of 64 bits: high half, low half.
    const writtenAt = (high: number, low: number) => {
      damaged.writeUInt32LE(high, 0);
      damaged.writeUInt32LE(low, 4);
      return checked(Buffer.from(damaged));
    };
    layout = { ...layout, startLsn: 0x1_0000_0100n };
    expect(await writtenAt(2, 5)).toEqual([]);
    expect(await writtenAt(1, 0x100)).toEqual([]);
    for (const [high, low] of [
      [1, 0xff],
      [0, 0xffff_ffff],
    ] as const)
      expect(await writtenAt(high, low)).toEqual([{ path, block: 0 }]);
  });

  test("that were cut off meanwhile, or never filled, are none", async () => {
    const damaged = Buffer.from(file);
    damaged.writeUInt8(damaged.readUInt8(PAGE + 5000) ^ 0x10, PAGE + 5000);
    expect(await checked(damaged, () => file.subarray(0, PAGE))).toEqual([]);
    expect(await checked(Buffer.alloc(2 * PAGE))).toEqual([]);
  });

  test.each([
    ...["global/1262", "base/5/1259.1", "base/5/1259_fsm", "base/5/1259_vm.1", "base/5/16400_init"],
    "pg_tblspc/16401/PG_18_202506291/5/16402",
  ])("are looked for in %s", (name) => {
    expect(PageCheck.of(name, layout, async () => Buffer.alloc(0))).toBeDefined();
  });

  test.each(["PG_VERSION", "global/pg_control", "base/5/pg_filenode.map", "pg_xact/0000"])(
    "are not looked for in %s",
    (name) => {
      expect(PageCheck.of(name, layout, async () => Buffer.alloc(0))).toBeUndefined();
    },
  );
});
