import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { TarWatch } from "../src/basebackup/tar-watch.ts";

async function tarOf(members: Record<string, Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(members)) tar.entry({ name }, content);
  tar.finalize();
  return Buffer.concat((await Array.fromAsync(tar as AsyncIterable<Uint8Array>)) as Uint8Array[]);
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const members = {
  backup_label: Buffer.from("START WAL LOCATION: 0/2000028"),
  empty: Buffer.alloc(0),
  "base/1/1259": Buffer.alloc(100_000, 7),
  whole: Buffer.alloc(512, 1),
  backup_manifest: Buffer.from("{}"),
};

test.each([1, 511, 512, 513, 70_001, 10_000_000])(
  "members are found in pieces of %i bytes, and the bytes pass untouched",
  async (size) => {
    const tar = await tarOf(members);
    const watch = new TarWatch(["backup_label", "backup_manifest", "whole", "not there"]);
    const passed = Buffer.concat(await Array.fromAsync(watch.through(inPieces(tar, size))));
    expect(passed.equals(tar)).toBe(true);
    expect(watch.whole).toBe(true);
    expect([...watch.members.keys()]).toEqual(["backup_label", "whole", "backup_manifest"]);
    for (const [name, content] of watch.members)
      expect(content.whole().equals(members[name as keyof typeof members])).toBe(true);
  },
);

test("a tar that was cut inside a member is not whole", async () => {
  const tar = await tarOf(members);
  const watch = new TarWatch(["backup_manifest"]);
  for await (const _ of watch.through(inPieces(tar.subarray(0, 50_000), 4096)));
  expect(watch.whole).toBe(false);
});

test.each([
  ["its start", 0, 512],
  ["a member's middle", 2048, 3 * 512],
  ["some bytes", 5000, 7],
])("a tar that lacks %s is refused while it passes", async (_, from, count) => {
  const tar = await tarOf(members);
  const holed = Buffer.concat([tar.subarray(0, from), tar.subarray(from + count)]);
  const watch = new TarWatch(["backup_manifest"]);
  await expect(async () => {
    for await (const _ of watch.through(inPieces(holed, 4096)));
  }).rejects.toMatchObject({
    code: "BASE_BACKUP_FAILED",
    message: expect.stringContaining("missing or damaged"),
  });
});
