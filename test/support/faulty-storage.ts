import type { Storage } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";

/** A storage that does some things wrong, or late, and all else as the one behind it. */
export function faultyStorage(behind: Storage, faults: Partial<Storage>): Storage {
  return {
    description: behind.description,
    create: (path, content) => behind.create(path, content),
    read: (path, range) => behind.read(path, range),
    stat: (path) => behind.stat(path),
    list: (options) => behind.list(options),
    remove: (path) => behind.remove(path),
    initialize: () => behind.initialize(),
    freeBytes: () => behind.freeBytes(),
    ...faults,
  };
}

/** The same over memory. */
export function faultyMemory(faultsOf: (memory: Storage) => Partial<Storage>): Storage {
  const memory = memoryStorage();
  return faultyStorage(memory, faultsOf(memory));
}

/** What was handed to `create`, in one piece. */
export async function whole(content: AsyncIterable<Uint8Array> | Uint8Array): Promise<Buffer> {
  return Buffer.concat(content instanceof Uint8Array ? [content] : await Array.fromAsync(content));
}
