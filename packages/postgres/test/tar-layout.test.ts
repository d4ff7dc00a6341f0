import { RANGE_BYTES } from "@lifeboat/core";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { TarWatch } from "../src/basebackup/tar-watch.ts";
import { layOut, type RangeLayout } from "../src/delta/tar-layout.ts";

type Files = Readonly<Record<string, Buffer>>;

async function tarOf(files: Files): Promise<{ tar: Buffer; headers: Buffer[] }> {
  const packing = pack();
  packing.entry({ name: "base", type: "directory", mode: 0o700 });
  for (const [name, content] of Object.entries(files)) packing.entry({ name }, content);
  packing.finalize();
  const tar = Buffer.concat((await Array.fromAsync(packing)) as Uint8Array[]);
  const headers: Buffer[] = [];
  const watch = new TarWatch(
    [],
    () => {},
    (header) => headers.push(Buffer.from(header)),
  );
  const whole = async function* () {
    yield tar;
  };
  for await (const _ of watch.through(whole()));
  return { tar, headers };
}

function rebuilt(layouts: readonly RangeLayout[], files: Files): Buffer {
  return Buffer.concat(
    layouts.map(({ bytes, headers, pieces }) => {
      const range = Buffer.alloc(bytes);
      for (const { at, content } of headers) range.set(content, at);
      for (const { member, at, bytes, offset } of pieces)
        range.set((files[member.name] as Buffer).subarray(offset, offset + bytes), at);
      return range;
    }),
  );
}

const sizes = [0, 1, 511, 512, 513, RANGE_BYTES - 1536, RANGE_BYTES - 512, RANGE_BYTES, 3_333_333];

test.each(sizes)("an archive is put together from its files, one of %i bytes", async (size) => {
  const files = {
    "base/1": Buffer.alloc(700, 1),
    "base/2": Buffer.alloc(size, 2),
    "base/3": Buffer.alloc(8192, 3),
  };
  const { tar, headers } = await tarOf(files);
  const layouts = [...layOut(headers, tar.length, "base.tar.zst")];
  expect(rebuilt(layouts, files).equals(tar)).toBe(true);
  expect(layouts.slice(0, -1).every(({ bytes }) => bytes === RANGE_BYTES)).toBe(true);
  const last = layouts.flatMap(({ pieces }) => pieces).filter(({ isLast }) => isLast);
  expect(last.map(({ member }) => member.name)).toEqual(
    Object.keys(files).filter((name) => files[name as keyof typeof files].length > 0),
  );
});

test("an archive is refused whose members are larger than it is", async () => {
  const { tar, headers } = await tarOf({ "base/1": Buffer.alloc(5000) });
  expect(() => [...layOut(headers, tar.length - 2048, "base.tar.zst")]).toThrow(/smaller/);
});
