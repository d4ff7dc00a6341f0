import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { isSystemError } from "@lifeboat/core";

/** An open file, and its size as it was opened. */
export interface OwnedFile {
  readonly handle: FileHandle;
  readonly bytes: number;
  /** When it had been written to, in milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * The account whose files are taken from a directory that it writes in; undefined where we are no more
 * than an account ourselves, since the system then gives us nothing that is not ours to read.
 */
export async function ownerOf(directory: string): Promise<number | undefined> {
  return process.getuid?.() === 0 ? (await stat(directory)).uid : undefined;
}

/**
 * Opens a file for reading that lies where another account writes. That account could put a link to
 * somebody else's file there, a pipe that never answers or a device: none is followed, waited for or
 * read. All is asked of what was opened, since the name may be another file's a moment later.
 * @param owner as {@link ownerOf} says; undefined when it need not be checked
 * @param mostBytes that such a file has
 * @throws the system's error; an Error that says what it is instead of a regular file of this owner and size
 */
export async function openOwned(
  path: string,
  owner: number | undefined,
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<OwnedFile> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((cause: unknown) => {
    throw isSystemError(cause, "ELOOP") ? new Error("it is a symbolic link", { cause }) : cause;
  });
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error("it is no regular file");
    if (owner !== undefined && found.uid !== owner)
      throw new Error(`it belongs to account ${found.uid}, and its folder to account ${owner}`);
    if (found.size > mostBytes)
      throw new Error(`it has ${found.size} bytes, where ${mostBytes} is the most`);
    return { handle, bytes: found.size, modifiedMs: found.mtimeMs };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

/**
 * The same, read whole, of a file that may have so many bytes.
 * @throws an Error also when it has more, or is written to meanwhile
 */
export async function readOwned(
  path: string,
  { owner, mostBytes }: { readonly owner: number | undefined; readonly mostBytes: number },
): Promise<Buffer> {
  const { handle, bytes } = await openOwned(path, owner, mostBytes);
  try {
    // Never more than was measured, however it grows.
    const content = Buffer.allocUnsafe(bytes);
    for (let read = 0; read < bytes; ) {
      const { bytesRead } = await handle.read(content, read, bytes - read, read);
      if (bytesRead === 0) throw new Error("it became shorter while it was read");
      read += bytesRead;
    }
    return content;
  } finally {
    await handle.close();
  }
}
