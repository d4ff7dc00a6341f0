import type { Storage } from "@lifeboat/core";

/** How often a storage was asked for something. Storages that are paid for charge by this. */
export type RequestCounts = Record<"create" | "read" | "stat" | "list" | "remove", number>;

export function countedStorage(inner: Storage): {
  readonly storage: Storage;
  readonly counts: Readonly<RequestCounts>;
} {
  const counts: RequestCounts = { create: 0, read: 0, stat: 0, list: 0, remove: 0 };
  const counting =
    <A extends unknown[], R>(kind: keyof RequestCounts, ask: (...asked: A) => R) =>
    (...asked: A): R => {
      counts[kind] += 1;
      return ask(...asked);
    };
  const storage: Storage = {
    description: inner.description,
    create: counting("create", inner.create.bind(inner)),
    read: counting("read", inner.read.bind(inner)),
    stat: counting("stat", inner.stat.bind(inner)),
    list: counting("list", inner.list.bind(inner)),
    remove: counting("remove", inner.remove.bind(inner)),
    initialize: () => inner.initialize(),
    freeBytes: () => inner.freeBytes(),
  };
  return { storage, counts };
}
