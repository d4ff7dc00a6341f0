import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { CopyFrames } from "../src/basebackup/copy-frames.ts";

function message(type: string, body: string): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, Buffer.from(body)]);
}

/** What a server sends, in pieces of so many bytes, each in memory of its own; what became of it. */
async function sent(bytes: Buffer, size: number): Promise<{ data: string[]; others: Buffer[] }> {
  const socket = new PassThrough();
  const data: string[] = [];
  const others: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => others.push(chunk));
  CopyFrames.takeOver(socket, ({ bytes: piece, isFirst }) => {
    if (isFirst) data.push("");
    data.push((data.pop() as string) + piece.toString());
  });
  for (let at = 0; at < bytes.length; at += size)
    socket.write(new Uint8Array(bytes.subarray(at, at + size)));
  socket.end();
  await new Promise((resolve) => socket.once("end", resolve));
  return { data, others };
}

const NOTICE = message("N", "page verification failed");
const READY = message("Z", "I");

test.each([1, 2, 5, 7, 64, 4096])(
  "CopyData comes whole, and pg gets every other message whole, in reads of %i bytes",
  async (size) => {
    const long = "content ".repeat(100);
    const bytes = Buffer.concat([
      ...[message("H", ""), message("d", "nbase.tar"), message("d", `d${long}`), NOTICE],
      ...[message("d", ""), message("d", `d${long}`), message("c", ""), READY],
    ]);
    const { data, others } = await sent(bytes, size);
    expect(data).toEqual(["nbase.tar", `d${long}`, `d${long}`]);
    expect(others).toEqual([message("H", ""), NOTICE, message("c", ""), READY]);
  },
);

test("a message that no server sends ends the connection", async () => {
  const socket = new PassThrough();
  CopyFrames.takeOver(socket, () => {});
  const failed = new Promise<Error>((resolve) => socket.once("error", resolve));
  socket.write(Buffer.from([0x4e, 0xff, 0xff, 0xff, 0xff]));
  expect((await failed).message).toMatch(/a message of 4294967296 bytes/);
});

test("a message that cannot be read ends the connection, and not the process", async () => {
  const socket = new PassThrough();
  CopyFrames.takeOver(socket, ({ bytes }) => void bytes.readBigInt64BE(1));
  const failed = new Promise<Error>((resolve) => socket.once("error", resolve));
  socket.write(message("d", "p"));
  expect((await failed).message).toMatch(/^the server's answer cannot be read: /);
});
