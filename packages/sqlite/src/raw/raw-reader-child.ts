import { constants, copyFile, type FileHandle, open } from "node:fs/promises";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";

/**
 * A process of its own that reads database files as plain bytes. POSIX drops all of a process' locks
 * on a file when the process closes any descriptor of it (sqlite.org/howtocorrupt.html, 2.2), so the
 * process that pins a database by a SQLite connection may never open that file by itself.
 *
 * Requests come as JSON lines on standard input, replies go as JSON lines to standard output, and
 * streamed content to descriptor 3.
 */
export type RawRequest =
  | {
      readonly kind: "peek";
      readonly path: string;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: "copy"; readonly from: string; readonly to: string }
  | { readonly kind: "stream"; readonly from: string };

export type RawReply =
  | { readonly ok: true; readonly bytes: string }
  | { readonly ok: false; readonly code: string; readonly message: string };

const requests = createInterface({ input: process.stdin });
// Whoever holds the database still is gone, so whatever is read from now on is void. Not by exit():
// that would wait for a copy which is under way in another thread.
requests.on("close", () => process.kill(process.pid, "SIGKILL"));
requests.on("line", async (line) => {
  const reply = await answer(JSON.parse(line) as RawRequest);
  process.stdout.write(`${JSON.stringify(reply)}\n`);
});

async function answer(request: RawRequest): Promise<RawReply> {
  try {
    return { ok: true, bytes: await perform(request) };
  } catch (thrown) {
    const failure = thrown as NodeJS.ErrnoException;
    return { ok: false, code: failure.code ?? "UNKNOWN", message: failure.message };
  }
}

async function perform(request: RawRequest): Promise<string> {
  switch (request.kind) {
    case "peek":
      return peek(request.path, request.offset, request.length);
    case "copy":
      // A clone where the file system has them, else a copy inside the kernel.
      await copyFile(
        request.from,
        request.to,
        constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE,
      );
      return "";
    case "stream":
      await stream(request.from);
      return "";
  }
}

async function peek(path: string, offset: number, length: number): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead).toString("base64");
  } finally {
    await file.close();
  }
}

async function stream(from: string): Promise<void> {
  const file: FileHandle = await open(from);
  await pipeline(file.createReadStream({ highWaterMark: 1 << 20 }), new Socket({ fd: 3 }));
}
