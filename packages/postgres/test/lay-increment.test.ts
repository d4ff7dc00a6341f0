import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "tar-stream";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { DeltaTally } from "../src/delta/delta-tally.ts";
import { layWhole } from "../src/delta/lay-whole.ts";
import { StandingTree } from "../src/delta/standing-tree.ts";
import { type Account, serverAccount } from "../src/files/account.ts";

const LAYOUT = { blockBytes: 1024, segmentBlocks: 4096 };
const NAME = "base/5/16384";

let account: Account;
let folder: string;
let into: string;

beforeAll(async () => {
  account = await serverAccount();
  folder = await ownedFolder(account);
  into = join(folder, "into");
});
beforeEach(async () => {
  await rm(into, { recursive: true, force: true });
  await mkdir(join(into, "base", "5"), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

const block = (character: string) => Buffer.alloc(LAYOUT.blockBytes, character);
const blocks = (characters: string) =>
  Buffer.concat([...characters].map((each) => (each === "0" ? block("\0") : block(each))));

/** As a server writes it: the header, padded where blocks follow, and the blocks. */
function increment(truncatedTo: number, changed: Readonly<Record<number, string>>): Buffer {
  const numbers = Object.keys(changed).map(Number);
  const header = Buffer.alloc(12 + 4 * numbers.length);
  header.writeUInt32LE(0xd3ae1f0d, 0);
  header.writeUInt32LE(numbers.length, 4);
  header.writeUInt32LE(truncatedTo, 8);
  for (const [index, number] of numbers.entries()) header.writeUInt32LE(number, 12 + 4 * index);
  const { blockBytes } = LAYOUT;
  const over = numbers.length === 0 ? 0 : (blockBytes - (header.length % blockBytes)) % blockBytes;
  return Buffer.concat([header, Buffer.alloc(over), blocks(Object.values(changed).join(""))]);
}

async function lay(members: Record<string, Buffer>, before = [NAME]): Promise<StandingTree> {
  const tar = pack();
  for (const [name, content] of Object.entries(members)) tar.entry({ name, mode: 0o600 }, content);
  tar.finalize();
  const tree = new StandingTree({ into, account });
  const increments = { layout: LAYOUT, isThere: (path: string) => before.includes(path) };
  const content = tar as AsyncIterable<Uint8Array>;
  const work = { tree, rules: {}, path: "base.tar.zst", tally: new DeltaTally(), increments };
  await layWhole(content, work);
  return tree;
}

const INCREMENT = "base/5/INCREMENTAL.16384";

test.each<[string, string, Buffer, string]>([
  ["nothing changed", "abcd", increment(4, {}), "abcd"],
  ["blocks changed in its midst", "abcd", increment(4, { 1: "X", 2: "Y" }), "aXYd"],
  ["it grew by blocks that follow", "ab", increment(2, { 2: "X", 3: "Y" }), "abXY"],
  ["it was cut", "abcd", increment(2, {}), "ab"],
  ["it was cut to nothing", "abcd", increment(0, {}), ""],
  ["it was cut and grew again", "abcd", increment(1, { 0: "X", 3: "Y" }), "X00Y"],
  ["it is longer than what stands", "a", increment(3, { 0: "X" }), "X00"],
  [
    "so many blocks changed that they are written in several runs",
    "a".repeat(3000),
    increment(3000, Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [n + 7, "X"]))),
    `${"a".repeat(7)}${"X".repeat(2500)}${"a".repeat(493)}`,
  ],
])(
  "a file becomes what pg_combinebackup makes of it where %s",
  async (_, stands, made, expected) => {
    await writeFile(join(into, NAME), blocks(stands), { mode: 0o600 });
    const tree = await lay({ [INCREMENT]: made });
    expect((await readFile(join(into, NAME))).equals(blocks(expected))).toBe(true);
    expect(await readdir(join(into, "base", "5"))).toEqual(["16384"]);
    expect(tree.has(NAME)).toBe(true);
  },
);

test("half a block at the end of what stands is none", async () => {
  const half = Buffer.alloc(LAYOUT.blockBytes / 2, "b");
  await writeFile(join(into, NAME), Buffer.concat([block("a"), half]), { mode: 0o600 });
  await lay({ [INCREMENT]: increment(3, {}) });
  expect((await readFile(join(into, NAME))).equals(blocks("a00"))).toBe(true);
});

test("the label of an incremental backup becomes a whole one's, so that a server starts with it", async () => {
  const lines = ["START WAL LOCATION: 0/28", "LABEL: x", "START TIMELINE: 1"];
  const of = ["INCREMENTAL FROM LSN: 0/2000028", "INCREMENTAL FROM TLI: 1"];
  const text = (all: string[]) => Buffer.from(all.map((line) => `${line}\n`).join(""));
  await lay({ backup_label: text([...lines, ...of]) });
  expect(await readFile(join(into, "backup_label"), "utf8")).toBe(text(lines).toString());
});

const sound = increment(4, { 1: "X", 2: "Y" });
const changed = (at: number, value: number) => {
  const copy = Buffer.from(sound);
  copy.writeUInt32LE(value, at);
  return copy;
};
test.each<[string, Buffer]>([
  ["is empty", Buffer.alloc(0)],
  ["is cut within its header", sound.subarray(0, 14)],
  ["is cut within its blocks", sound.subarray(0, -1)],
  ["goes on behind its blocks", Buffer.concat([sound, block("Z")])],
  ["is no such file", changed(0, 0x12345678)],
  ["tells of more blocks than it holds", changed(4, 3)],
  ["tells of more blocks than a file has", changed(4, 0xffffffff)],
  ["is to be longer than a file", changed(8, 5000)],
  ["holds blocks in no order", changed(12, 3)],
  ["holds a block twice", changed(16, 1)],
  ["holds a block beyond a file's end", changed(16, 4096)],
])("one that %s is refused before the file is touched", async (_, broken) => {
  await writeFile(join(into, NAME), blocks("abcd"), { mode: 0o600 });
  await expect(lay({ [INCREMENT]: broken })).rejects.toMatchObject({
    code: "ARCHIVE_INVALID",
    message: expect.stringContaining(INCREMENT),
  });
  expect((await readFile(join(into, NAME))).equals(blocks("abcd"))).toBe(true);
});

test("changes of a file that the backup before does not have are refused, whatever stands there", async () => {
  await writeFile(join(into, NAME), blocks("abcd"), { mode: 0o600 });
  await expect(lay({ [INCREMENT]: sound }, [])).rejects.toMatchObject({ code: "ARCHIVE_UNSAFE" });
  expect((await readFile(join(into, NAME))).equals(blocks("abcd"))).toBe(true);
});
