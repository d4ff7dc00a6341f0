import { join } from "node:path";
import { CompactionState, compactLog } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { mergePages } from "../../packages/sqlite/src/compact/merge-pages.ts";
import type { SegmentNote } from "../../packages/sqlite/src/log/note.ts";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";
import { pageAt, pageNumberAt, storedFrames } from "../../packages/sqlite/src/log/stored-frames.ts";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { closeHistories } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const HOUR = 3_600_000;
const FRAME_BYTES = 24 + 512;

/** Three segments of one minute, of two commits each. */
async function threeSegments() {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { pageSize: 512, rows: 1 });
  const recorder = await Recorder.begin(app);
  const start = (Math.floor(Date.now() / HOUR) + 1) * HOUR;
  const database = new Database(app.path);
  database.pragma("wal_autocheckpoint = 0");
  for (let n = 1; n <= 6; n++) {
    recorder.clock = () => start + n * 1000;
    database.prepare("UPDATE counter SET v = ?").run(n);
    if (n % 2 === 0) await recorder.ship();
    else await recorder.poll();
  }
  database.close();
  const { folder: log, lineage, names } = recorder;
  const objects = async () => (await lineagesOf(log)).get(lineage) ?? [];
  /** Puts another object in one's place. */
  const replace = async (
    name: string,
    change: {
      readonly bytes?: (content: Buffer) => Buffer;
      readonly note?: (note: SegmentNote) => SegmentNote;
    },
  ) => {
    const { bytes = (same) => same, note = (same) => same } = change;
    const content = bytes(Buffer.concat(await Array.fromAsync(log.readLog(name))));
    const noted = note((await log.readLogNote(name)) as unknown as SegmentNote);
    await log.removeLog(name);
    const pieces = async function* () {
      yield content;
    };
    await log.storeLog(name, pieces, () => ({ ...noted }));
  };
  const compact = () => compactLog(log, lineage, new CompactionState(), start + 2 * HOUR);
  return { app, log, names, objects, replace, compact };
}

const untied = (note: SegmentNote) => ({
  ...note,
  chain: { ...note.chain, before: "0".repeat(64) },
});

test.each([
  ["is not tied to the one before it", 1, { note: untied }],
  ["is the first and not tied to its lineage", 0, { note: untied }],
  [
    "has pages of another size",
    1,
    {
      note: (note: SegmentNote) => ({ ...note, pageSize: 1024 }),
      bytes: (content: Buffer) => {
        content.writeUInt32BE(1024, 8);
        return content;
      },
    },
  ],
  [
    "has fewer commits than its note says",
    1,
    { bytes: (content: Buffer) => content.subarray(0, content.length - FRAME_BYTES) },
  ],
])(
  "an object that %s is neither merged nor skipped over nor restored, and all stay as they are",
  async (_, index, change) => {
    const { app, log, names, objects, replace, compact } = await threeSegments();
    const name = names[index] as string;
    await replace(name, change);
    const wrong = { code: "LOG_OBJECT_INVALID", message: expect.stringContaining(name) };
    await expect(compact()).rejects.toMatchObject(wrong);
    const all = await objects();
    await expect(mergePages(log, all)).rejects.toMatchObject(wrong);
    await expect(app.restore(join(app.folder, "to"))).rejects.toMatchObject(wrong);
    expect((await objects()).map((object) => object.name)).toEqual(names);
  },
);

test("a summary has each page once, as it is now, of objects that are held while they are read and of larger ones", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { pageSize: 4096, rows: 1 });
  const recorder = await Recorder.begin(app);
  const database = new Database(app.path);
  database.pragma("wal_autocheckpoint = 0");
  const fill = (bytes: number) => database.exec(`UPDATE large SET v = randomblob(${bytes})`);
  database.exec("CREATE TABLE large(v); INSERT INTO large VALUES (randomblob(9e6))");
  // The same pages twice in one object, of which only the later ones count.
  fill(9e6);
  await recorder.ship();
  fill(3e6);
  fill(2e6);
  await recorder.ship();
  const { folder: log, lineage } = recorder;
  const objects = (await lineagesOf(log)).get(lineage) ?? [];
  const sizes = await Promise.all(
    objects.map(async ({ name }) => (await log.statLog(name))?.bytes ?? 0),
  );
  expect(sizes).toEqual([expect.toSatisfy((n) => n > HELD), expect.toSatisfy((n) => n < HELD)]);
  const now = database.serialize();
  const name = await mergePages(log, objects);
  const seen = new Set<number>();
  for await (const run of storedFrames(log.readLog(name), { pageSize: 4096, object: name }))
    for (let at = 0; at < run.bytes.length; at += run.frameBytes) {
      const number = pageNumberAt(run, at);
      expect(seen.has(number), `page ${number}`).toBe(false);
      seen.add(number);
      expect(pageAt(run, at).equals(now.subarray((number - 1) * 4096, number * 4096))).toBe(true);
    }
  expect(seen.size).toBeGreaterThan(2000);
  database.close();
});

const HELD = 16 * 2 ** 20;
