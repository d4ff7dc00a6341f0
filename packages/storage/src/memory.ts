import type { ByteRange, ListOptions, ListPage, Storage, StoredObject } from "@lifeboat/core";
import { assertObjectPath, objectExists, objectMissing } from "./errors.ts";
import { pageOf } from "./page.ts";

/** A storage in this process' memory, for tests: it keeps every promise but durability. */
export function memoryStorage(): Storage {
  const objects = new Map<string, { bytes: Uint8Array; storedAt: Date }>();
  const description = "memory";

  return {
    description,

    async create(path, content) {
      assertObjectPath(path);
      if (objects.has(path)) throw objectExists(description, path);
      const bytes = content instanceof Uint8Array ? Buffer.from(content) : await joined(content);
      if (objects.has(path)) throw objectExists(description, path);
      objects.set(path, { bytes, storedAt: new Date() });
      return bytes.length;
    },

    async *read(path: string, range?: ByteRange) {
      assertObjectPath(path);
      const object = objects.get(path);
      if (!object) throw objectMissing(description, path);
      yield object.bytes.subarray(range?.start, range?.end);
    },

    async stat(path): Promise<StoredObject | undefined> {
      assertObjectPath(path);
      const object = objects.get(path);
      return object && { path, bytes: object.bytes.length, storedAt: object.storedAt };
    },

    async list(options: ListOptions): Promise<ListPage> {
      const { paths, folders, next } = pageOf(objects.keys(), options);
      const found = paths.map((path) => {
        const { bytes, storedAt } = objects.get(path) as { bytes: Uint8Array; storedAt: Date };
        return { path, bytes: bytes.length, storedAt };
      });
      return { objects: found, folders, next };
    },

    async remove(path) {
      assertObjectPath(path);
      objects.delete(path);
    },

    async initialize() {},

    async freeBytes() {
      return null;
    },
  };
}

async function joined(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
