import { randomBytes } from "node:crypto";

export interface PageToWrite {
  /** From 1. */
  readonly number: number;
  readonly page: Buffer;
}

const MAGIC = 0x377f0682;
export async function* walOfOneTransaction(
  pages: AsyncIterable<PageToWrite>,
  { pageSize, pageCount }: { readonly pageSize: number; readonly pageCount: number },
): AsyncGenerator<Uint8Array> {
  const header = Buffer.alloc(32);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(3007000, 4);
  header.writeUInt32BE(pageSize, 8);
  randomBytes(8).copy(header, 16);
  let sum = checksum(header.subarray(0, 24), [0, 0]);
  header.writeUInt32BE(sum[0], 24);
  header.writeUInt32BE(sum[1], 28);
  yield header;
  const frameOf = ({ number, page }: PageToWrite, size: number) => {
    const frame = Buffer.alloc(24 + pageSize);
    frame.writeUInt32BE(number, 0);
    frame.writeUInt32BE(size, 4);
    header.copy(frame, 8, 16, 24);
    page.copy(frame, 24);
    sum = checksum(frame.subarray(24), checksum(frame.subarray(0, 8), sum));
    frame.writeUInt32BE(sum[0], 16);
    frame.writeUInt32BE(sum[1], 20);
    return frame;
  };
  let held: PageToWrite | undefined;
  for await (const next of pages) {
    if (held) yield frameOf(held, 0);
    held = { number: next.number, page: Buffer.from(next.page) };
  }
  if (held) yield frameOf(held, pageCount);
}

function checksum(bytes: Buffer, before: readonly [number, number]): [number, number] {
  let [first, second] = before;
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + bytes.readUInt32LE(at) + second) >>> 0;
    second = (second + bytes.readUInt32LE(at + 4) + first) >>> 0;
  }
  return [first, second];
}
