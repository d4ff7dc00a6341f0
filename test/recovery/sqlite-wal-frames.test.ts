import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { execa } from "execa";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { FrameScanner } from "../../packages/sqlite/src/wal/frame-scanner.ts";
import { parseWalHeader, WAL_HEADER_BYTES } from "../../packages/sqlite/src/wal/header.ts";
import { WalWriter } from "../../packages/sqlite/src/wal/wal-writer.ts";
import { testFolder } from "../support/sqlite.ts";

interface Recorded {
  /** The database before the WAL. */
  readonly base: string;
  readonly wal: Buffer;
  readonly rows: number;
}

/** A database of another connection with one transaction a row in its WAL. */
async function record(pageSize = 4096, rows = 12): Promise<Recorded> {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  const base = join(folder, "base.db");
  const connection = new Database(path);
  onTestFinished(() => {
    connection.close();
  });
  connection.pragma(`page_size = ${pageSize}`);
  connection.pragma("journal_mode = WAL");
  connection.pragma("wal_autocheckpoint = 0");
  connection.exec("CREATE TABLE t(n INTEGER PRIMARY KEY, text)");
  connection.pragma("wal_checkpoint(TRUNCATE)");
  await copyFile(path, base);
  const insert = connection.prepare("INSERT INTO t(text) VALUES (hex(randomblob(300)))");
  for (let row = 0; row < rows; row++) insert.run();
  return { base, wal: await readFile(`${path}-wal`), rows };
}

function scannerOf(wal: Buffer, pageSize: number): FrameScanner {
  const header = parseWalHeader(wal.subarray(0, WAL_HEADER_BYTES), pageSize);
  if (typeof header === "string") throw new Error(header);
  return new FrameScanner(header);
}

function committedIn(wal: Buffer, pageSize = 4096): number {
  const scanner = scannerOf(wal, pageSize);
  scanner.scan(wal.subarray(WAL_HEADER_BYTES));
  return scanner.committed.frames;
}

/** Valid frames, committed or not. */
function scannedIn(wal: Buffer, pageSize: number): number {
  const scanner = scannerOf(wal, pageSize);
  scanner.scan(wal.subarray(WAL_HEADER_BYTES));
  return scanner.frames;
}

test.each([512, 4096, 65536])(
  "frames of %i bytes are read in pieces as in one, and stamped as another WAL they are applied by sqlite3",
  async (pageSize) => {
    const { base, wal, rows } = await record(pageSize);
    const scanner = scannerOf(wal, pageSize);
    const writer = new WalWriter(pageSize);
    const parts: Buffer[] = [writer.header];
    let kept = Buffer.alloc(0);
    for (let at = WAL_HEADER_BYTES; at < wal.length; at += 10_007) {
      kept = Buffer.concat([kept, wal.subarray(at, at + 10_007)]);
      const taken = scanner.scan(kept);
      const frames = Buffer.from(kept.subarray(0, taken));
      writer.stamp(frames);
      parts.push(frames);
      kept = kept.subarray(taken);
    }
    expect(kept.length).toBe(0);
    expect(scanner.committed.frames).toBe(committedIn(wal, pageSize));
    await writeFile(`${base}-wal`, Buffer.concat(parts));
    const asked = "PRAGMA integrity_check; SELECT count(*) FROM t";
    const { stdout } = await execa("sqlite3", [base, asked]);
    expect(stdout).toBe(`ok\n${rows}`);
  },
);

test("a WAL whose checksums are of big-endian words is read, as sqlite3 reads it", async () => {
  const { base, wal, rows } = await record(512);
  const other = withBigEndianSums(wal, 512);
  expect(committedIn(other, 512)).toBe(committedIn(wal, 512));
  const scanner = scannerOf(other, 512);
  expect(scanner.header.bigEndian).toBe(true);
  await writeFile(`${base}-wal`, other);
  const { stdout } = await execa("sqlite3", [base, "SELECT count(*) FROM t"]);
  expect(stdout).toBe(`${rows}`);
  // The words' order is told by the magic number alone.
  other[3] = 0x82;
  expect(parseWalHeader(other.subarray(0, WAL_HEADER_BYTES), 512)).toMatch(/checksum is wrong/);
});

test("reading goes on from a point as if it had read all before", async () => {
  const { wal } = await record();
  const whole = scannerOf(wal, 4096);
  const points: FrameScanner["committed"][] = [];
  whole.scan(wal.subarray(WAL_HEADER_BYTES), ({ commitPages }) => {
    if (commitPages > 0) points.push(whole.committed);
  });
  const from = points[4] as FrameScanner["committed"];
  const later = new FrameScanner(whole.header, from);
  later.scan(wal.subarray(WAL_HEADER_BYTES + from.frames * later.frameBytes));
  expect(later.committed).toEqual(whole.committed);
});

test("whatever is flipped, cut, repeated, foreign or left out, no frame from there on is taken, and never half a transaction", async () => {
  const { wal } = await record();
  const other = await record();
  const frame = 4096 + 24;
  const count = (wal.length - WAL_HEADER_BYTES) / frame;
  const start = (n: number) => WAL_HEADER_BYTES + n * frame;
  const at = fc.integer({ min: 0, max: count - 1 });
  const harm = fc.oneof(
    fc.record({
      kind: fc.constant("flip" as const),
      n: at,
      bit: fc.integer({ min: 0, max: frame * 8 - 1 }),
    }),
    fc.record({
      kind: fc.constant("cut" as const),
      n: at,
      bytes: fc.integer({ min: 0, max: frame - 1 }),
    }),
    fc.record({ kind: fc.constant("repeat" as const), n: at }),
    fc.record({ kind: fc.constant("leave out" as const), n: at }),
    fc.record({ kind: fc.constant("foreign" as const), n: at }),
  );
  const boundaries = new Set([0]);
  const scanner = scannerOf(wal, 4096);
  scanner.scan(wal.subarray(WAL_HEADER_BYTES), ({ commitPages }) => {
    if (commitPages > 0) boundaries.add(scanner.frames);
  });
  fc.assert(
    fc.property(harm, (how) => {
      const n = how.n;
      // The first frame that is not what it was; a repeated one still stands at its own place.
      let from = n;
      let harmed: Buffer;
      if (how.kind === "flip") {
        harmed = Buffer.from(wal);
        const byte = start(n) + (how.bit >> 3);
        harmed[byte] = (harmed[byte] as number) ^ (1 << (how.bit & 7));
      } else if (how.kind === "cut") harmed = wal.subarray(0, start(n) + how.bytes);
      else if (how.kind === "repeat") {
        from = n + 1;
        harmed = Buffer.concat([wal.subarray(0, start(n + 1)), wal.subarray(start(n))]);
      } else if (how.kind === "leave out")
        harmed = Buffer.concat([wal.subarray(0, start(n)), wal.subarray(start(n + 1))]);
      else
        harmed = Buffer.concat([
          wal.subarray(0, start(n)),
          other.wal.subarray(start(n), start(n + 1)),
          wal.subarray(start(n + 1)),
        ]);
      const taken = committedIn(harmed);
      expect(taken).toBeLessThanOrEqual(from);
      expect(boundaries.has(taken)).toBe(true);
      // Nothing before the harm is lost either.
      expect(taken).toBe(Math.max(...[...boundaries].filter((each) => each <= from)));
    }),
    { numRuns: 300 },
  );
});

test("a frame of whose header one bit is another ends the WAL, as it does for SQLite: salts are under no checksum", async () => {
  const { wal } = await record(512);
  const frame = 512 + 24;
  for (let bit = 0; bit < 24 * 8; bit++) {
    const harmed = Buffer.from(wal);
    const byte = WAL_HEADER_BYTES + 2 * frame + (bit >> 3);
    harmed[byte] = (harmed[byte] as number) ^ (1 << (bit & 7));
    expect(scannedIn(harmed, 512)).toBe(2);
  }
});

test("a frame for page 0 ends the WAL, though its checksum is right, as it does for sqlite3", async () => {
  const { base, wal, rows } = await record(512, 3);
  const frame = 512 + 24;
  const writer = new WalWriter(512);
  const frames = Buffer.from(wal.subarray(WAL_HEADER_BYTES));
  const last = frames.length - frame;
  frames.writeUInt32BE(0, last);
  writer.stamp(frames);
  const written = Buffer.concat([writer.header, frames]);
  expect(scannedIn(written, 512)).toBe(last / frame);
  await writeFile(`${base}-wal`, written);
  const { stdout } = await execa("sqlite3", [base, "SELECT count(*) FROM t"]);
  expect(stdout).toBe(`${rows - 1}`);
});

test("frames of an older run that lie behind the newer ones are never taken", async () => {
  const { wal } = await record();
  const older = await record();
  const frame = 4096 + 24;
  const mixed = Buffer.from(older.wal);
  wal.copy(mixed, 0, 0, WAL_HEADER_BYTES + 3 * frame);
  expect(committedIn(mixed)).toBe(committedIn(wal.subarray(0, WAL_HEADER_BYTES + 3 * frame)));
});

test("any bytes at all are read without a fault", async () => {
  const { wal } = await record(512, 3);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
      parseWalHeader(Buffer.from(bytes), 512);
      const scanner = scannerOf(wal, 512);
      const noise = Buffer.from(bytes);
      expect(scanner.scan(noise)).toBeLessThanOrEqual(noise.length);
      expect(scanner.committed.frames).toBe(0);
    }),
    { numRuns: 500 },
  );
});

/** The same WAL as a machine of the other byte order would write it (sqlite.org/fileformat2.html, 4.2). */
function withBigEndianSums(wal: Buffer, pageSize: number): Buffer {
  const written = Buffer.from(wal);
  let [first, second] = [0, 0];
  const add = (from: number, to: number) => {
    for (let at = from; at < to; at += 8) {
      first = (first + written.readUInt32BE(at) + second) >>> 0;
      second = (second + written.readUInt32BE(at + 4) + first) >>> 0;
    }
  };
  const put = (at: number) => {
    written.writeUInt32BE(first, at);
    written.writeUInt32BE(second, at + 4);
  };
  written.writeUInt32BE(0x377f0683, 0);
  add(0, 24);
  put(24);
  for (let at = WAL_HEADER_BYTES; at < written.length; at += 24 + pageSize) {
    add(at, at + 8);
    add(at + 24, at + 24 + pageSize);
    put(at + 16);
  }
  return written;
}
