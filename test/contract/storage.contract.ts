import type { Storage } from "@lifeboat/core";
import { beforeEach, describe, expect, test } from "vitest";

/** What every storage promises: hand in a factory that makes an empty one. */
export function storageContract(name: string, make: () => Promise<Storage>): void {
  describe(`${name} keeps the storage contract`, () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await make();
      await storage.initialize();
    });

    test("an object is read back as it was written, with its size", async () => {
      const size = await storage.create("a/b/object", chunks("one", "", "two"));
      expect(size).toBe(6);
      expect(await text(storage, "a/b/object")).toBe("onetwo");
      expect(await storage.stat("a/b/object")).toMatchObject({ path: "a/b/object", bytes: 6 });
    });

    test("an empty object is an object", async () => {
      expect(await storage.create("empty", chunks())).toBe(0);
      expect(await text(storage, "empty")).toBe("");
      expect(await storage.stat("empty")).toMatchObject({ bytes: 0 });
    });

    test("a range of an object is read without the rest", async () => {
      await storage.create("object", chunks("0123456789"));
      expect(await text(storage, "object", { start: 3, end: 6 })).toBe("345");
      expect(await text(storage, "object", { start: 8 })).toBe("89");
      expect(await text(storage, "object", { start: 20 })).toBe("");
    });

    test("an object is never replaced", async () => {
      await storage.create("object", chunks("first"));
      await expect(storage.create("object", chunks("second"))).rejects.toMatchObject({
        code: "OBJECT_EXISTS",
      });
      expect(await text(storage, "object")).toBe("first");
    });

    test("of many that create one object at once exactly one wins", async () => {
      const tries = Array.from({ length: 8 }, (_, i) => storage.create("object", chunks(`${i}`)));
      const results = await Promise.allSettled(tries);
      const won = results.flatMap((result, i) => (result.status === "fulfilled" ? [i] : []));
      expect(won).toHaveLength(1);
      expect(await text(storage, "object")).toBe(String(won[0]));
    });

    test("content that fails half-way leaves nothing", async () => {
      await expect(storage.create("a/object", failing())).rejects.toThrow("the source broke");
      expect(await storage.stat("a/object")).toBeUndefined();
      expect((await storage.list({ prefix: "" })).objects).toEqual([]);
    });

    test("a missing object is told from one that cannot be read", async () => {
      expect(await storage.stat("nothing")).toBeUndefined();
      expect(await storage.stat("no/such/folder/object")).toBeUndefined();
      await expect(text(storage, "nothing")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
      await storage.remove("nothing");
    });

    test("a removed object is gone, and its name is free again", async () => {
      await storage.create("a/object", chunks("x"));
      await storage.remove("a/object");
      expect(await storage.stat("a/object")).toBeUndefined();
      expect((await storage.list({ prefix: "", folded: true })).folders).toEqual([]);
      expect(await storage.create("a/object", chunks("y"))).toBe(1);
    });

    test("a listing is in order of bytes, in pages, below a prefix", async () => {
      const names = ["p/b", "p/a/1", "p/a/2", "p/ü", "p/A", "q/x", "p2", "p/😀", "p/ａ"];
      for (const name of names) await storage.create(name, chunks("x"));
      const sorted = ["p/A", "p/a/1", "p/a/2", "p/b", "p/ü", "p/ａ", "p/😀"];
      expect(paths(await storage.list({ prefix: "p/" }))).toEqual(sorted);
      expect(paths(await storage.list({ prefix: "p/a" }))).toEqual(["p/a/1", "p/a/2"]);
      const first = await storage.list({ prefix: "p/", limit: 2 });
      expect(paths(first)).toEqual(sorted.slice(0, 2));
      const second = await storage.list({ prefix: "p/", limit: 2, after: first.next ?? "" });
      expect(paths(second)).toEqual(sorted.slice(2, 4));
      const third = await storage.list({ prefix: "p/", limit: 3, after: second.next ?? "" });
      expect(paths(third)).toEqual(sorted.slice(4));
      expect(third.next).toBeNull();
    });

    test("a folded listing shows folders instead of what is in them", async () => {
      for (const name of ["p/a/1", "p/a/2", "p/b/deep/3", "p/file"])
        await storage.create(name, chunks("x"));
      const page = await storage.list({ prefix: "p/", folded: true });
      expect(page.folders).toEqual(["p/a/", "p/b/"]);
      expect(paths(page)).toEqual(["p/file"]);
      expect(await storage.list({ prefix: "nowhere/", folded: true })).toEqual({
        objects: [],
        folders: [],
        next: null,
      });
    });

    test("a path cannot leave the repository", async () => {
      for (const path of ["../x", "a/../../x", "/etc/x", "a//b", "", "./a", "a/./b", "a\0b"]) {
        await expect(storage.create(path, chunks("x")), path).rejects.toMatchObject({
          code: "PATH_INVALID",
        });
        await expect(text(storage, path), path).rejects.toMatchObject({ code: "PATH_INVALID" });
      }
    });

    test("an object of many megabytes goes through in one piece", async () => {
      const block = Buffer.alloc(1 << 20, 7);
      const size = await storage.create(
        "large",
        (async function* () {
          for (let i = 0; i < 20; i += 1) yield block;
        })(),
      );
      expect(size).toBe(20 << 20);
      let seen = 0;
      for await (const chunk of storage.read("large")) seen += chunk.length;
      expect(seen).toBe(20 << 20);
    });
  });
}

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("half");
  throw new Error("the source broke");
}

async function text(storage: Storage, path: string, range?: { start: number; end?: number }) {
  return Buffer.concat(await Array.fromAsync(storage.read(path, range))).toString();
}

function paths(page: { objects: readonly { path: string }[] }): string[] {
  return page.objects.map(({ path }) => path);
}
