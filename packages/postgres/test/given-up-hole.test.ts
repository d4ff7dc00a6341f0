import { appendFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LifeboatError, type Manifest, OutageLog, type WatchRequest } from "@lifeboat/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { memoryStorage } from "../../storage/src/memory.ts";
import { GivenUpHole } from "../src/archive/given-up-hole.ts";
import { orGiveUp, readGivenUp } from "../src/archive/given-up-wal.ts";
import { clusterFolder } from "./cluster-folder.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lifeboat-given-up-"));
  await mkdir(join(directory, "pg_wal"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const giveUp = (name: string) =>
  appendFile(join(directory, "pg_wal", "lifeboat.given-up"), `${name}\n`);
const [first, second] = ["000000010000000000000003", "000000010000000000000004"] as const;

test("the hole that given-up WAL leaves is closed by a base behind all of it, and told of once", async () => {
  const storage = memoryStorage();
  const lines: string[] = [];
  /** What happens while each base is taken. */
  const meanwhile: (() => Promise<void>)[] = [
    async () => {
      throw new Error("no room");
    },
    () => giveUp(second),
    async () => {},
  ];
  let bases = 0;
  const log = (line: string) => void lines.push(line);
  const request = {
    folder: clusterFolder({ storage }),
    signal: new AbortController().signal,
    backup: async () => {
      await meanwhile[bases++]?.();
      return {} as Manifest;
    },
    log,
  } as unknown as WatchRequest;
  const hole = new GivenUpHole(directory, request, new OutageLog("WAL of 7", log));
  expect(await hole.close()).toBe(false);
  await giveUp(first);
  // Not while the repository is away: a base would go into an empty mount point.
  expect(await hole.close()).toBe(true);
  expect(bases).toBe(0);
  await storage.create("app/lifeboat.json", (async function* () {})());
  await hole.close();
  // What was given up while the second was taken lies behind it.
  await hole.close();
  expect(await readGivenUp(directory)).toMatchObject({ count: 2, first, last: second });
  expect(await hole.close()).toBe(true);
  expect([bases, await readGivenUp(directory), await hole.close()]).toEqual([3, undefined, false]);
  expect(lines).toEqual([
    expect.stringContaining(`${first} was given up`),
    expect.stringContaining("the new base failed"),
    expect.stringContaining(`there is a hole: ${first} to ${second}, with a new base behind it`),
  ]);
});

test("a file is given up for a repository that takes none, and for nothing that is wrong with itself or before more waits than may", async () => {
  await mkdir(join(directory, "pg_wal", "archive_status"));
  for (const name of [first, second]) {
    await writeFile(join(directory, "pg_wal", name), Buffer.alloc(1000));
    await writeFile(join(directory, "pg_wal", "archive_status", `${name}.ready`), "");
  }
  const pushed = (code: string, maxBacklog: number, kind: "failed" | "refused" = "failed") =>
    orGiveUp(
      async () => {
        throw new LifeboatError({ code, kind, message: "not stored", remedy: "mend it" });
      },
      { directory, name: first, maxBacklog },
    );
  await expect(pushed("WAL_UNREADABLE", 0)).rejects.toMatchObject({ code: "WAL_UNREADABLE" });
  await expect(pushed("LOG_OBJECT_DIFFERS", 0, "refused")).rejects.toMatchObject({
    kind: "refused",
  });
  await expect(pushed("REPOSITORY_GONE", 2000)).rejects.toMatchObject({ code: "REPOSITORY_GONE" });
  expect(await readGivenUp(directory)).toBeUndefined();
  await pushed("REPOSITORY_GONE", 1999);
  expect(await readGivenUp(directory)).toMatchObject({ count: 1, first, last: first });
});
