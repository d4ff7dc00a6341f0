import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { allObjects, DatabaseFolder, type ManifestObject, type Storage } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { beforeEach, describe, expect, test } from "vitest";
import { removeUnfinishedExports } from "../../packages/core/src/exports.ts";
import {
  clearUnfinished,
  findUnfinished,
  leftoversOf,
} from "../../packages/core/src/unfinished-backup.ts";
import { markUnfinished } from "../../packages/core/src/unfinished-mark.ts";

const OLDER = "20261122T101500.123Z-full";
const NEWER = "20261123T101500.123Z-full";
const NOTE = { level: 3, files: ["a"] };
const content = randomBytes(3 << 20);

let storage: Storage;
let folder: DatabaseFolder;
beforeEach(() => {
  storage = memoryStorage();
  const compression = { level: 3, logLevel: 3 };
  folder = new DatabaseFolder({
    storage,
    app: "a",
    engine: "postgres",
    database: "1",
    compression,
  });
});

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield content;
}

async function store(id: string, name = "base.0001.tar"): Promise<ManifestObject> {
  await markUnfinished(folder, id);
  return folder.storeObject(id, name, "base", pieces(), { note: () => NOTE });
}

const paths = async () =>
  (await Array.fromAsync(allObjects(storage, `${folder.path}/backups/`))).map(
    ({ path }) => path.split("/backups/")[1],
  );

const bytesOf = async (path: string) => Buffer.concat(await Array.fromAsync(storage.read(path)));

/** The one object of the interrupted backup, as the next is offered it. */
async function leftover(onKept: (object: ManifestObject) => void = () => {}) {
  const unfinished = await clearUnfinished(folder, async (object) => object.startsWith("base.0"));
  const [first] = unfinished ? leftoversOf(folder, unfinished, onKept) : [];
  if (!first) throw new Error("nothing was left");
  return first;
}

test("an object that was stored with a note is the same to whoever reads it, and is told by it without a manifest", async () => {
  const object = await store(NEWER);
  const stored = await bytesOf(`${folder.backupPath(NEWER)}/${object.object}`);
  expect(zstdDecompressSync(stored).equals(content)).toBe(true);
  const kept: ManifestObject[] = [];
  const found = await leftover((each) => kept.push(each));
  expect(await found.note()).toEqual(NOTE);
  expect(await found.keep("base")).toEqual(object);
  expect(kept).toEqual([object]);
});

test("of several interrupted backups only the newest is gone on with, and only with what is asked for", async () => {
  await store(OLDER);
  await store(NEWER);
  await store(NEWER, "base.tar");
  await leftover();
  expect(await paths()).toEqual([`${NEWER}/base.0001.tar.zst`]);
  await clearUnfinished(folder);
  expect(await paths()).toEqual([]);
});

test("a folder that bears no backup's name is somebody's own: no backup removes it, and none counts it as interrupted", async () => {
  await storage.create(`${folder.path}/backups/handover/notes.txt`, Buffer.from("keep this"));
  expect(await clearUnfinished(folder)).toBeUndefined();
  expect(await findUnfinished(folder)).toBeUndefined();
  expect(await paths()).toEqual(["handover/notes.txt"]);
});

test("what lies beside the marks under a backup's name alone is none, and what bears that name is not removed", async () => {
  await storage.create(`${folder.path}/unfinished/${OLDER}`, Buffer.from("somebody's own"));
  await storage.create(`${folder.backupPath(OLDER)}/app.db.zst`, Buffer.from("x"));
  await clearUnfinished(folder);
  expect(await paths()).toEqual([`${OLDER}/app.db.zst`]);
});

test("the same holds for exports, and for those that have lost their manifest", async () => {
  const notes = `${folder.path}/exports/handover/notes.txt`;
  await storage.create(notes, Buffer.from("keep this"));
  const [unfinished, lost] = ["20261122T101500.123Z-export", "20261123T101500.123Z-export"];
  await markUnfinished(folder, unfinished as string);
  for (const id of [unfinished, lost])
    await storage.create(folder.exportPath(`${id}/dump.0001.tar.zst`), content);
  for (const _ of ["its objects", "its mark"]) await removeUnfinishedExports(folder);
  expect((await Array.fromAsync(allObjects(storage, ""))).map(({ path }) => path)).toEqual([
    folder.exportPath(`${lost}/dump.0001.tar.zst`),
    notes,
  ]);
});

describe("an object that is not what was stored is not kept:", () => {
  const damages: Record<string, (stored: Buffer) => Buffer> = {
    "a bit of its content": (stored) => flipped(stored, stored.length >> 1),
    "a bit of its note": (stored) => flipped(stored, stored.length - 300),
    "a bit of its seal": (stored) => flipped(stored, stored.length - 100),
    "its end": (stored) => stored.subarray(0, -1),
    "all of it": () => Buffer.alloc(0),
  };
  test.each(Object.entries(damages))("%s", async (_, damage) => {
    const { object } = await store(NEWER);
    const path = `${folder.backupPath(NEWER)}/${object}`;
    const damaged = damage(await bytesOf(path));
    await storage.remove(path);
    await storage.create(path, damaged);
    const kept: ManifestObject[] = [];
    const found = await leftover((each) => kept.push(each));
    await found.note();
    expect(await found.keep("base")).toBeUndefined();
    expect(kept).toEqual([]);
    await found.remove();
    expect(await paths()).toEqual([]);
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}
