import { createHash } from "node:crypto";
import { readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type DatabaseFolder, encodeManifest, list, type Manifest } from "@lifeboat/core";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { mergeFrames } from "../../packages/sqlite/src/compact/merge-frames.ts";
import { mergePages } from "../../packages/sqlite/src/compact/merge-pages.ts";
import { checkLog } from "../../packages/sqlite/src/log/check.ts";
import { commitsOf } from "../../packages/sqlite/src/log/expected-commits.ts";
import { bytesOfWal, type Mark, type SegmentNote } from "../../packages/sqlite/src/log/note.ts";
import { type LogObject, lineagesOf, noteOf } from "../../packages/sqlite/src/log/objects.ts";
import { walOfOneTransaction } from "../../packages/sqlite/src/wal/one-transaction.ts";
import type { LogPlace } from "../../packages/sqlite/src/wal/place.ts";
import { saltsFor, WalWriter } from "../../packages/sqlite/src/wal/wal-writer.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { heldMemory } from "../support/held-memory.ts";
import { ledgerApp } from "../support/ledger-app.ts";
import { expectCleanPrefix, isThere } from "../support/sqlite.ts";
import { closeHistories, history } from "../support/sqlite-history.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";
import { nextFrame } from "../support/wal-frame.ts";

afterEach(closeHistories);

const digestOf = (bytes: Uint8Array) => ({
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});

/** Puts another content and manifest in the place of a backup's, all digests right. */
async function forge(
  app: SqliteApp,
  role: string,
  change: (content: Buffer, manifest: Manifest) => Uint8Array | Promise<Uint8Array>,
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { folder, manifests } = await app.manifests();
  const manifest = manifests.at(-1) as Manifest;
  const file = (path: string) => join(app.folder, "repository", path);
  const objects = [];
  for (const each of manifest.objects) {
    if (each.role !== role) {
      objects.push(each);
      continue;
    }
    const path = file(folder.objectPath(manifest, each));
    const content = await change(zstdDecompressSync(await readFile(path)), manifest);
    const stored = zstdCompressSync(content);
    await writeFile(path, stored);
    objects.push({ ...each, content: digestOf(content), stored: digestOf(stored) });
  }
  const forged = { ...manifest, objects, details: { ...manifest.details, ...details } };
  await writeFile(file(`${folder.backupPath(manifest.id)}/manifest.json`), encodeManifest(forged));
}

async function assertRefused(app: SqliteApp, code: string, message: string): Promise<void> {
  await expect(app.restore(join(app.folder, "to"))).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
  });
  expect(await isThere(join(app.folder, "to"))).toBe(false);
}

async function all(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(content));
}

test.each([
  ["leaves another number of pages", 1, 2, "has no commit of"],
  ["has fewer frames", 0, 1, "frames, and not the"],
])(
  "a segment of the log that %s than its note names is refused, and verify names it",
  async (_, more, frames, said) => {
    const app = await ledgerApp();
    // One transaction of two pages.
    const big =
      "UPDATE ledger SET payload = zeroblob(6000) WHERE seq = 1; UPDATE counter SET v = 9";
    const { recorder } = await history(app, ["UPDATE counter SET v = 1", `BEGIN; ${big}; COMMIT`]);
    const { folder } = recorder;
    const name = recorder.names.at(-1) as string;
    const [lineage] = [...(await lineagesOf(folder)).values()];
    const object = lineage?.find((each) => each.name === name);
    if (!object) throw new Error("there is no such segment");
    const note = await noteOf(folder, object);
    const [, noted = 0, pages = 0] = note.marks.at(-1) ?? [];
    expect(noted).toBeGreaterThanOrEqual(2);
    const writer = new WalWriter(note.pageSize, saltsFor(name));
    const wal = [writer.header];
    const count = frames === 1 ? 1 : noted;
    for (let frame = 1; frame <= count; frame++)
      wal.push(
        nextFrame(writer, {
          ...{ number: pages, page: Buffer.alloc(note.pageSize) },
          pagesAfter: frame === count ? pages + more : 0,
        }),
      );
    const bytes = Buffer.concat(wal);
    await folder.removeLog(name);
    await folder.storeLog(
      name,
      async function* () {
        yield bytes;
      },
      () => ({ ...note }),
    );
    await assertRefused(app, "LOG_OBJECT_INVALID", said);
    const { problems } = await app.verify(true);
    expect(problems.map(({ object, code }) => [object, code])).toContainEqual([
      folder.logPath(name),
      "LOG_OBJECT_INVALID",
    ]);
  },
);

/** An app's log of three segments, and the folder that it lies in. */
async function shipped(app: SqliteApp) {
  const { recorder } = await history(
    app,
    [1, 2, 3].map((v) => `UPDATE counter SET v = ${v}`),
  );
  const [objects] = [...(await lineagesOf(recorder.folder)).values()];
  return { folder: recorder.folder, objects: objects as readonly LogObject[] };
}

/** Puts the same content under the same name, with a note that was changed, sealed as it should be. */
async function renote(
  folder: DatabaseFolder,
  object: LogObject,
  change: (note: SegmentNote) => Partial<SegmentNote>,
): Promise<void> {
  const note = await noteOf(folder, object);
  const content = await all(folder.readLog(object.name, bytesOfWal(note)));
  await folder.removeLog(object.name);
  const once = async function* () {
    yield content;
  };
  await folder.storeLog(object.name, once, () => ({ ...note, ...change(note) }));
}

const ELSEWHERE = "f".repeat(64);
test.each([
  ["is tied to another one than lies before it", 1, "before", "is not tied to segment 1"],
  ["is the first, and tied to another one", 0, "before", "is the first of its lineage, and is not"],
  ["lies before one that is tied to another", 1, "after", "is not tied to segment 2"],
] as const)("a segment of the log that %s is refused", async (_, nth, side, said) => {
  const app = await ledgerApp();
  const { folder, objects } = await shipped(app);
  await renote(folder, objects[nth] as LogObject, ({ chain }) => ({
    chain: { ...chain, [side]: ELSEWHERE },
  }));
  await assertRefused(app, "LOG_OBJECT_INVALID", said);
  expect((await app.verify(false)).problems.map(({ code }) => code)).toContain(
    "LOG_OBJECT_INVALID",
  );
});

test("where a backup's place lies in none of the log that goes on behind it, its own older state is not restored as the latest", async () => {
  const app = await ledgerApp();
  const { folder, objects } = await shipped(app);
  const elsewhere = (place: LogPlace) => ({ ...place, salt1: (place.salt1 ^ 1) >>> 0 });
  for (const object of objects)
    await renote(folder, object, ({ start, end }) => ({
      ...{ start: elsewhere(start), end: elsewhere(end) },
    }));
  await assertRefused(app, "LOG_HOLE", "lies in none of the objects");
  // As the refusal says, the backup alone can be had.
  const [backup] = (await app.manifests()).manifests;
  const target = { kind: "backup", id: backup?.id ?? "" } as const;
  const { path } = await app.restore(join(app.folder, "alone"), { target });
  expect(expectCleanPrefix(path)).toBe(50);
});

test("a log with pages of another size than its backup has is refused", async () => {
  const app = await ledgerApp();
  const { folder, objects } = await shipped(app);
  for (const object of objects) await renote(folder, object, () => ({ pageSize: 512 }));
  await assertRefused(app, "LOG_OBJECT_INVALID", "has pages of 512 bytes, its backup has them of");
});

test("changed pages of another size than the backup has that they build on are refused", async () => {
  const app = await ledgerApp();
  await app.backup();
  await app.backupIncrement();
  await forge(app, "none", (content) => content, { pageSize: 512 });
  await assertRefused(app, "MANIFEST_CORRUPT", "pages of another size");
});

test("the last segment of the log with a link in its place is told, and no older state is restored as the latest", async () => {
  const app = await ledgerApp();
  const { folder, objects } = await shipped(app);
  const path = folder.logPath((objects.at(-1) as LogObject).name);
  const file = join(app.folder, "repository", path);
  await rename(file, join(app.folder, "aside"));
  await symlink(join(app.folder, "aside"), file);
  await assertRefused(app, "OBJECT_UNREADABLE", path);
  const { problems } = await app.verify(false);
  expect(problems.map(({ object, code }) => [object, code])).toEqual([[path, "OBJECT_UNREADABLE"]]);
});

test("a segment with fewer frames than its note names is merged into nothing", async () => {
  const app = await ledgerApp();
  const { folder, objects } = await shipped(app);
  await renote(folder, objects[1] as LogObject, ({ marks }) => {
    const [instant, frames, pages] = marks.at(-1) as Mark;
    return { marks: [[instant, frames + 1, pages]] };
  });
  for (const merge of [mergeFrames, mergePages])
    await expect(merge(folder, objects)).rejects.toMatchObject({ code: "LOG_OBJECT_INVALID" });
});

test("of a note with very many marks a restore keeps eight bytes for each", () => {
  const place = { salt1: 1, salt2: 2, frames: 0, checksum1: 3, checksum2: 4 };
  const chain = { before: ELSEWHERE, after: ELSEWHERE };
  const seat = { format: 1, lineage: "20261122T101500.123Z-1f2e3d4c", first: 1, last: 1 } as const;
  const noteOfMany = (): SegmentNote => {
    const marks = Array.from({ length: 200_000 }, (_, n): Mark => [n, n + 1, 7]);
    return { ...seat, pageSize: 512, start: place, end: place, chain, marks: marks as never };
  };
  const before = heldMemory();
  const commits = commitsOf(noteOfMany(), 150_000);
  expect(heldMemory() - before).toBeLessThan(4e6);
  expect([commits.length, ...commits.subarray(-2)]).toEqual([300_000, 150_000, 7]);
});

test.each([false, true])(
  "a check that is stopped in the midst of a segment ends there, however long that is (deep %s)",
  async (deep) => {
    const app = await ledgerApp();
    const { folder, objects } = await shipped(app);
    const { manifests } = await app.manifests();
    const stop = new AbortController();
    const last = folder.logPath(objects.at(-1)?.name as string);
    const stopping = faultyStorage(folder.storage, {
      read(path, range) {
        if (path === last && !range) stop.abort(new Error("stopped"));
        return folder.storage.read(path, range);
      },
    });
    const checking = checkLog(folder.over(stopping), manifests, {
      ...{ deep, signal: stop.signal, witnesses: { drills: [], watch: undefined } },
    });
    await expect(checking).rejects.toThrow("stopped");
  },
);

test("changed pages that end in another commit than their manifest names are refused", async () => {
  const app = await ledgerApp();
  await app.backup();
  const database = new Database(app.path);
  database.exec("UPDATE counter SET v = 7");
  database.close();
  await app.backupIncrement();
  await forge(app, "pages", async (_content, { details }) => {
    const { pageSize, pageCount } = details as { pageSize: number; pageCount: number };
    const page = Buffer.alloc(pageSize);
    const pages = async function* () {
      yield { number: pageCount, page };
    };
    return all(walOfOneTransaction(pages(), { pageSize, pageCount: pageCount - 1 }));
  });
  await assertRefused(app, "LOG_OBJECT_INVALID", "has no commit of");
});

test("changed pages whose size is no number of frames are refused before they are read, and verify names them", async () => {
  const app = await ledgerApp();
  await app.backup();
  await app.backupIncrement();
  await forge(app, "pages", (content) => content.subarray(0, content.length - 1));
  await assertRefused(app, "MANIFEST_CORRUPT", "no number of pages");
  const { problems } = await app.verify(false);
  expect(problems.map(({ code }) => code)).toEqual(["MANIFEST_CORRUPT"]);
});

test("a base that is another database is refused, whatever lies upon it", async () => {
  const app = await ledgerApp();
  await app.backup();
  const other = join(app.folder, "other.db");
  const database = new Database(other);
  database.exec("CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(4000000))");
  database.close();
  await forge(app, "database", () => readFile(other));
  await assertRefused(app, "MANIFEST_CORRUPT", "holds a database of");
});

test("a base that is too short for its pages is refused before it is read, and verify names it", async () => {
  const app = await ledgerApp();
  await app.backup();
  await forge(app, "database", (content) => content.subarray(0, content.length - 512));
  await assertRefused(app, "MANIFEST_CORRUPT", "too few for");
  const { problems } = await app.verify(false);
  expect(problems.map(({ code }) => code)).toEqual(["MANIFEST_CORRUPT"]);
});

test.each([
  ["pageSize", 1000],
  ["pageSize", 131_072],
  ["pageSize", 0],
  ["pageCount", 0],
  ["pageCount", 2 ** 32 - 1],
  ["pageCount", 2 ** 53 - 1],
  ["owner", { uid: 2 ** 32 - 1, gid: 0, user: null, group: null }],
  ["owner", { uid: 0, gid: 2 ** 32, user: null, group: null }],
  ["owner", { uid: -1, gid: 0, user: null, group: null }],
])("a manifest with %s %j is refused before anything is made of it", async (member, value) => {
  const app = await ledgerApp();
  await app.backup();
  await forge(app, "none", (content) => content, { [member]: value });
  await assertRefused(app, "MANIFEST_CORRUPT", `"details.${member}"`);
});

test("a manifest with wrong details keeps no other backup from being restored by its name, nor the rest from being checked", async () => {
  const app = await ledgerApp();
  await app.backup();
  await forge(app, "database", (content) => content, { fileName: "../app.db" });
  const { folder, objects } = await shipped(app);
  const repository = await app.repository();
  const listed = await list({ repository, engines: [app.engine], live: null });
  expect(listed.problems.map(({ code }) => code)).toEqual(["MANIFEST_CORRUPT"]);
  const { id } = await app.backup();
  const restored = await app.restore(join(app.folder, "to"), { target: { kind: "backup", id } });
  expect(restored.backup).toBe(id);
  await folder.removeLog(objects[1]?.name as string);
  const { problems } = await app.verify(false);
  expect(problems.map(({ code }) => code).sort()).toEqual(["LOG_HOLE", "MANIFEST_CORRUPT"]);
});

test("where the manifest of the only backup is damaged that is said, and not that there is none", async () => {
  const app = await ledgerApp();
  const { id } = await app.backup();
  const { folder } = await app.manifests();
  await writeFile(join(app.folder, "repository", folder.backupPath(id), "manifest.json"), "{}");
  await assertRefused(app, "MANIFEST_CORRUPT", id);
});

test("where the manifest of the newest backup is damaged the older state is had by its name alone, and once there is a newer one that is the latest", async () => {
  const app = await ledgerApp();
  const { id } = await app.backup();
  const { id: damaged } = await app.backup();
  const { folder } = await app.manifests();
  await writeFile(
    join(app.folder, "repository", folder.backupPath(damaged), "manifest.json"),
    "{}",
  );
  await assertRefused(app, "MANIFEST_CORRUPT", damaged);
  const target = { kind: "backup", id } as const;
  expect((await app.restore(join(app.folder, "named"), { target })).backup).toBe(id);
  const { id: newest } = await app.backup();
  expect((await app.restore(join(app.folder, "latest"))).backup).toBe(newest);
});
