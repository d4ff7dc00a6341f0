import { type DatabaseFolder, LifeboatError, type Storage } from "@lifeboat/core";

/**
 * The same folder for a process that stays: before each object it looks whether the repository is still
 * there. An empty directory where a disk was mounted takes objects too, and they would be lost.
 * @throws LifeboatError `REPOSITORY_GONE` by its storage's `create`
 */
export function guardedFolder(folder: DatabaseFolder): DatabaseFolder {
  const { storage } = folder;
  const guarded: Storage = {
    description: storage.description,
    create: async (path, content) => {
      await assertThere(folder);
      return storage.create(path, content);
    },
    read: (path, range) => storage.read(path, range),
    stat: (path) => storage.stat(path),
    list: (options) => storage.list(options),
    remove: (path) => storage.remove(path),
    initialize: () => storage.initialize(),
    freeBytes: () => storage.freeBytes(),
  };
  return folder.over(guarded);
}

/** @throws LifeboatError `REPOSITORY_GONE` */
export async function assertThere({ storage, app }: DatabaseFolder): Promise<void> {
  if (await storage.stat(`${app}/lifeboat.json`)) return;
  throw new LifeboatError({
    code: "REPOSITORY_GONE",
    message: `the repository of ${app} in ${storage.description} is gone`,
    remedy: "mount it again; what waits for it asks again",
  });
}
