import fc from "fast-check";
import { expect, test } from "vitest";
import { coverOf, hasHoleAt } from "../../packages/sqlite/src/log/cover.ts";
import { formatLogName, type LogName, parseLogName } from "../../packages/sqlite/src/log/name.ts";
import { checkedNote, type SegmentNote } from "../../packages/sqlite/src/log/note.ts";
import { framesUpTo, lastOf } from "../../packages/sqlite/src/log/start.ts";
import { storedFrames } from "../../packages/sqlite/src/log/stored-frames.ts";
import type { LogPlace } from "../../packages/sqlite/src/wal/place.ts";
import { WalWriter } from "../../packages/sqlite/src/wal/wal-writer.ts";
import { nextFrame } from "../support/wal-frame.ts";

const LINEAGE = "20261122T101500.123Z-1f2e3d4c";

/** Segment n has instant 1000 n; spans are merged or summed at random, parts kept or gone. */
const someLog = fc
  .record({
    segments: fc.integer({ min: 1, max: 40 }),
    spans: fc.array(
      fc.record({
        from: fc.nat(39),
        length: fc.integer({ min: 1, max: 20 }),
        kind: fc.constantFrom("frames" as const, "pages" as const),
        partsStay: fc.boolean(),
      }),
      { maxLength: 8 },
    ),
    lost: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 2 }),
  })
  .map(({ segments, spans, lost }) => {
    const nameOf = (first: number, last: number, kind: LogName["kind"]): LogName => ({
      lineage: LINEAGE,
      first,
      last,
      instant: last * 1000,
      kind,
    });
    let objects = Array.from({ length: segments }, (_, n) => nameOf(n + 1, n + 1, "frames"));
    for (const { from, length, kind, partsStay } of spans) {
      const [first, last] = [from + 1, Math.min(segments, from + length)];
      if (first > last) continue;
      if (kind === "frames" && !partsStay)
        objects = objects.filter(
          (each) => each.kind === "pages" || each.first < first || each.last > last,
        );
      objects.push(nameOf(first, last, kind));
    }
    objects = objects.filter(({ first, last }) => !lost.includes(first) || first !== last);
    objects.sort((a, b) => a.first - b.first || a.last - b.last);
    return { segments, objects };
  });

test("whatever was merged, summed, kept or lost: what leads to a target has every segment up to it, in order, or ends at the hole", () => {
  fc.assert(
    fc.property(someLog, fc.integer({ min: 1, max: 40 }), fc.nat(42_000), (log, from, target) => {
      const { objects } = log;
      const reaches = (instant: number) => instant <= target;
      const { whole, cut, next } = coverOf(objects, from, reaches);
      let reached = from;
      for (const object of whole) {
        expect(object.first).toBeLessThanOrEqual(reached);
        expect(object.last).toBeGreaterThanOrEqual(reached);
        expect(reaches(object.instant)).toBe(true);
        reached = object.last + 1;
      }
      expect(next).toBe(reached);
      // Nothing that belongs before the target is left out, unless it is not there.
      const follows = (each: LogName) => each.first <= next && next <= each.last;
      expect(objects.some((each) => follows(each) && reaches(each.instant))).toBe(false);
      if (cut) {
        expect(cut.kind).toBe("frames");
        expect(follows(cut) && !reaches(cut.instant)).toBe(true);
      } else expect(objects.some((each) => follows(each) && each.kind === "frames")).toBe(false);
      if (!cut && hasHoleAt(objects, next))
        expect(objects.some((each) => each.kind === "frames" && follows(each))).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

test("a log of a month of seconds that nobody merged has a last segment as well", () => {
  const stored = { path: "", bytes: 0, storedAt: new Date(0) };
  const seat = { lineage: LINEAGE, kind: "frames", instant: 0, name: "", stored } as const;
  const objects = Array.from({ length: 500_000 }, (_, n) => ({ ...seat, first: n, last: n }));
  expect(lastOf(objects)).toBe(499_999);
  expect(lastOf([])).toBe(0);
});

test("a cover is the shortest there is: no other chain of whole objects reaches as far with fewer", () => {
  fc.assert(
    fc.property(someLog, fc.nat(42_000), ({ objects }, target) => {
      const reaches = (instant: number) => instant <= target;
      const { whole, next } = coverOf(objects, 1, reaches);
      const fewest = new Map([[1, 0]]);
      for (let at = 1; at < next; at++) {
        const steps = fewest.get(at);
        if (steps === undefined) continue;
        for (const each of objects)
          if (each.first <= at && at <= each.last && reaches(each.instant))
            fewest.set(
              each.last + 1,
              Math.min(steps + 1, fewest.get(each.last + 1) ?? Number.POSITIVE_INFINITY),
            );
      }
      expect(whole.length).toBe(fewest.get(next));
    }),
    { numRuns: 500 },
  );
});

test("names are read as they were written, and no other spelling is a name", () => {
  const names = fc.record({
    first: fc.integer({ min: 1, max: 9_999_999 }),
    more: fc.nat(99_999),
    instant: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    kind: fc.constantFrom("frames" as const, "pages" as const),
  });
  fc.assert(
    fc.property(names, fc.nat(), fc.nat(255), ({ first, more, instant, kind }, at, byte) => {
      const name: LogName = { lineage: LINEAGE, first, last: first + more, instant, kind };
      const text = formatLogName(name);
      expect(parseLogName(text)).toEqual(name);
      const index = at % text.length;
      const other = text.slice(0, index) + String.fromCharCode(byte) + text.slice(index + 1);
      const read = parseLogName(other);
      if (read) expect(formatLogName(read)).toBe(other);
    }),
  );
});

/** A history of a source's WAL: segments, some after the WAL was begun anew, and a place in one of them. */
const someHistory = fc.array(
  fc.record({ frames: fc.integer({ min: 1, max: 9 }), anew: fc.boolean() }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

function placesOf(history: readonly { frames: number; anew: boolean }[]) {
  const place = (salt: number, frames: number): LogPlace => ({
    salt1: salt,
    salt2: 7 * salt,
    frames,
    checksum1: 0,
    checksum2: 0,
  });
  let here = place(1, 3);
  let total = 0;
  const parts: [number, number, number, number][] = [];
  const every: { place: LogPlace; at: number }[] = [{ place: here, at: 0 }];
  for (const { frames, anew } of history) {
    parts.push([total, here.salt1, here.salt2, here.frames]);
    const from = anew ? place(here.salt1 + 1, 0) : here;
    for (let n = 1; n <= frames; n++)
      every.push({ place: place(from.salt1, from.frames + n), at: total + n });
    total += frames;
    here = place(from.salt1, from.frames + frames);
  }
  const note = {
    start: place(1, 3),
    end: here,
    parts,
    marks: [[1, total, 1]],
  } as unknown as SegmentNote;
  return { note, every, beyond: place(here.salt1, here.frames + 1) };
}

test("every place of a merged object is found in it, however often the WAL was begun anew, and no other is", () => {
  fc.assert(
    fc.property(someHistory, (history) => {
      const { note, every, beyond } = placesOf(history);
      for (const { place, at } of every) expect(framesUpTo(note, place)).toBe(at);
      expect(framesUpTo(note, beyond)).toBeUndefined();
      expect(framesUpTo(note, { ...beyond, salt2: 5 })).toBeUndefined();
    }),
  );
});

async function framesOf(bytes: Uint8Array): Promise<number> {
  let frames = 0;
  const content = async function* () {
    for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777);
  };
  for await (const run of storedFrames(content(), { pageSize: 512, object: "x" }))
    frames += run.bytes.length / run.frameBytes;
  return frames;
}

test("a stored WAL that is cut within a frame or a transaction, or has a frame of another, is refused", async () => {
  const pages = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(pages, fc.nat(), async (commits, cutAt) => {
      const writer = new WalWriter(512);
      const header = writer.header;
      const frames = commits.map((commit, n) =>
        nextFrame(writer, {
          ...{ number: n + 1, page: Buffer.alloc(512, n) },
          pagesAfter: commit || n === commits.length - 1 ? 20 : 0,
        }),
      );
      const wal = Buffer.concat([header, ...frames]);
      expect(await framesOf(wal)).toBe(commits.length);
      const cut = cutAt % wal.length;
      const whole = cut >= 32 && (cut - 32) % 536 === 0;
      const last = (cut - 32) / 536 - 1;
      const ends = whole && (last < 0 || commits[last]);
      const found = framesOf(wal.subarray(0, cut));
      if (ends) expect(await found).toBe(last + 1);
      else await expect(found).rejects.toMatchObject({ code: "LOG_OBJECT_INVALID" });
      const foreign = new WalWriter(512);
      const mixed = Buffer.concat([
        wal,
        nextFrame(foreign, { number: 1, page: Buffer.alloc(512), pagesAfter: 5 }),
      ]);
      await expect(framesOf(mixed)).rejects.toMatchObject({ code: "LOG_OBJECT_INVALID" });
    }),
    { numRuns: 200 },
  );
});

test("a note with any member missing or of another kind is refused, and so is one of another object", () => {
  const name = formatLogName({
    lineage: LINEAGE,
    first: 1,
    last: 2,
    instant: 5000,
    kind: "frames",
  });
  const place = { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5 };
  const note = {
    format: 1,
    lineage: LINEAGE,
    first: 1,
    last: 2,
    pageSize: 4096,
    start: place,
    end: place,
    chain: { before: "0".repeat(64), after: "1".repeat(64) },
    marks: [
      [4000, 1, 9],
      [5000, 3, 9],
    ],
    parts: [
      [0, 1, 2, 3],
      [1, 1, 2, 4],
    ],
  };
  expect(checkedNote(note, name, "x")).toEqual(note);
  const refused = (changed: object) =>
    expect(() => checkedNote({ ...note, ...changed }, name, "x")).toThrow(/^x /);
  for (const member of Object.keys(note).filter((each) => each !== "parts"))
    for (const value of [undefined, null, "x", -1, 1.5, [], {}, [[1]]])
      refused({ [member]: value });
  refused({
    marks: [
      [5000, 3, 9],
      [4000, 4, 9],
    ],
  });
  refused({
    marks: [
      [4000, 1, 9],
      [4500, 3, 9],
    ],
  });
  refused({ first: 2 });
  refused({
    parts: [
      [1, 1, 2, 3],
      [1, 1, 2, 4],
    ],
  });
  expect(() => checkedNote(undefined, name, "x")).toThrow(/no note/);
});
