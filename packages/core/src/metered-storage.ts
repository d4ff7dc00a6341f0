import type { ByteRange, Storage } from "./storage.ts";

/** A storage that measures how long its readers waited for it. */
export interface MeteredStorage {
  readonly storage: Storage;
  /** Seconds in which at least one reader waited for bytes, so far: never more than have passed, as many as read at once. */
  seconds(): number;
}

/** Wraps a storage; tells apart what a restore spends on fetching from what it spends on building. */
export function meteredStorage(inner: Storage): MeteredStorage {
  let waited = 0;
  let waiting = 0;
  let since = 0;
  const begin = () => {
    if (waiting === 0) since = performance.now();
    waiting += 1;
  };
  const end = () => {
    waiting -= 1;
    if (waiting === 0) waited += performance.now() - since;
  };
  const storage: Storage = {
    description: inner.description,
    create: (path, content) => inner.create(path, content),
    stat: (path) => inner.stat(path),
    list: (options) => inner.list(options),
    remove: (path) => inner.remove(path),
    initialize: () => inner.initialize(),
    freeBytes: () => inner.freeBytes(),
    async *read(path: string, range?: ByteRange) {
      const chunks = inner.read(path, range)[Symbol.asyncIterator]();
      try {
        for (;;) {
          begin();
          const next = await chunks.next().finally(end);
          if (next.done) return;
          yield next.value;
        }
      } finally {
        await chunks.return?.();
      }
    },
  };
  return { storage, seconds: () => Math.round(waited) / 1000 };
}
