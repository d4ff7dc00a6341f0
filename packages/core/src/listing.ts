import type { Storage, StoredObject } from "./storage.ts";

/** All objects below a prefix, page by page, in ascending order of path. */
export async function* allObjects(storage: Storage, prefix: string): AsyncGenerator<StoredObject> {
  let after: string | undefined;
  do {
    const page = await storage.list({ prefix, after });
    yield* page.objects;
    after = page.next ?? undefined;
  } while (after !== undefined);
}

/** The folders directly below a prefix, by their last name. */
export async function foldersBelow(storage: Storage, prefix: string): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await storage.list({ prefix, folded: true, after });
    for (const folder of page.folders) names.push(folder.slice(prefix.length, -1));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return names;
}

/** Whether anything lies below a prefix: a killed run may leave a folder of which a file system keeps the empty name. */
export async function holdsObjects(storage: Storage, prefix: string): Promise<boolean> {
  return (await storage.list({ prefix, limit: 1 })).objects.length > 0;
}
