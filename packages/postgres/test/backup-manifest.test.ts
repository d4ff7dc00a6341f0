import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { manifestFiles, walRangeOf } from "../src/basebackup/backup-manifest.ts";
import { ManifestWriter } from "../src/basebackup/parallel/manifest-writer.ts";
import { PackedBytes } from "../src/packed/bytes.ts";
import { lsnOf } from "../src/wal/lsn.ts";

const FILES = `{ "Path": "backup_label", "Size": 226, "Last-Modified": "2026-11-26 15:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "1d1f0d42" },
{ "Encoded-Path": "626173652fff2c5d", "Size": 0, "Last-Modified": "2026-11-26 15:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },
{ "Path": "base/1/\\u0001],", "Size": 1073741824, "Last-Modified": "2026-11-26 15:00:00 GMT" },
{ "Path": "base/5/INCREMENTAL.1259", "Size": 12, "Last-Modified": "2026-11-26 15:00:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${"ab".repeat(32)}" }`;
const RANGE = `{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "1A/2000100" }`;

/** What stands before the list, by the version of the server: 13 to 16, and since 17 (also by pg_combinebackup). */
const HEADS = {
  "13": `{ "PostgreSQL-Backup-Manifest-Version": 1,\n`,
  "17": `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7577001122334455667,\n`,
};

/** With the digest of all that stands before. */
function closed(body: string): PackedBytes {
  const sha256 = createHash("sha256").update(body).digest("hex");
  return PackedBytes.of(Buffer.from(`${body}"Manifest-Checksum": "${sha256}"}\n`));
}

function bodyOf(head: string, files = FILES, ranges = RANGE): string {
  return `${head}"Files": [\n${files}\n],\n"WAL-Ranges": [\n${ranges}\n],\n`;
}

const invalid = expect.objectContaining({ code: "BACKUP_MANIFEST_INVALID" });

test.each(Object.entries(HEADS))(
  "a manifest as servers since version %s write it tells its files and its span of WAL",
  (_, head) => {
    const manifest = closed(bodyOf(head));
    expect([...manifestFiles(manifest)]).toEqual([
      { path: "backup_label", bytes: 226 },
      { path: "base/\u00ff,]", bytes: 0 },
      { path: "base/1/\u0001],", bytes: 1 << 30 },
      { path: "base/5/INCREMENTAL.1259", bytes: 12 },
    ]);
    const range = { timeline: 1, start: lsnOf("0/2000028"), end: lsnOf("1A/2000100") };
    expect(walRangeOf(manifest)).toEqual(range);
  },
);

test.each([15, 18])("a manifest that we write for version %i is one that we read", (major) => {
  const writer = new ManifestWriter({ systemIdentifier: "7577001122334455667", major });
  const file = { modified: new Date(0), sha256: "ab".repeat(32) };
  // Longer than one piece of what is kept packed, and with names that end in each place of one.
  const names = Array.from({ length: 9000 }, (_, n) => `base/5/${n}${"ü".repeat(n % 5)}`);
  for (const [bytes, path] of names.entries()) writer.add({ ...file, path, bytes });
  const wal = { timeline: 3, start: lsnOf("0/2000028"), end: lsnOf("0/2000100") };
  const manifest = writer.finish(wal);
  expect(manifest.bytes).toBeGreaterThan(1 << 20);
  expect(walRangeOf(manifest)).toEqual(wal);
  const read = [...manifestFiles(manifest)];
  expect(read.map(({ bytes }) => bytes)).toEqual([...names.keys()]);
  expect(read.map(({ path }) => Buffer.from(path, "latin1").toString())).toEqual(names);
  expect(JSON.parse(manifest.whole().toString()).Files).toHaveLength(names.length);
});

const whole = closed(bodyOf(HEADS["17"])).whole().toString();
test.each<[string, string]>([
  ["is empty", ""],
  ["is cut within its list of files", whole.slice(0, 300)],
  ["is cut at the end of a line", whole.slice(0, whole.indexOf("\n],") + 1)],
  ["is cut before its checksum", whole.slice(0, whole.indexOf('"Manifest-Checksum"'))],
  ["is cut within its checksum", whole.slice(0, -9)],
  ["has another's checksum", whole.replace('"Size": 226', '"Size": 227')],
  ["goes on behind its checksum", `${whole}{ "Path": "more", "Size": 1 }\n`],
  [
    "has a list that never ends",
    closed(`${HEADS["17"]}"WAL-Ranges": [\n${RANGE}\n],\n"Files": [\n${FILES}\n`)
      .whole()
      .toString(),
  ],
  ["has no list of files", closed(`${HEADS["17"]}"Other": [\n${FILES}\n],\n`).whole().toString()],
  ["lists what is no file", closed(bodyOf(HEADS["17"], "null")).whole().toString()],
  ["lists what is no JSON", closed(bodyOf(HEADS["17"], '{ "Path": "a" ')).whole().toString()],
  [
    "encodes a path with other digits",
    closed(bodyOf(HEADS["17"], '{ "Encoded-Path": "62zz", "Size": 1 }')).whole().toString(),
  ],
  [
    "names a file without its size",
    closed(bodyOf(HEADS["17"], '{ "Path": "a" }')).whole().toString(),
  ],
  [
    "has a line that is longer than any",
    closed(bodyOf(HEADS["17"], `{ "Path": "${"a".repeat(3 << 20)}", "Size": 1 }`))
      .whole()
      .toString(),
  ],
])("a manifest that %s proves nothing", (_, text) => {
  const manifest = PackedBytes.of(Buffer.from(text));
  expect(() => [...manifestFiles(manifest)]).toThrow(invalid);
});

test.each([
  ["no span of WAL", ""],
  ["two spans, as after a promotion in the midst of it", `${RANGE},\n${RANGE}`],
  ["a span without its end", '{ "Timeline": 1, "Start-LSN": "0/2000028" }'],
  ["a timeline that is none", RANGE.replace("1,", '"one",')],
])("a manifest with %s names no WAL", (_, ranges) => {
  expect(() => walRangeOf(closed(bodyOf(HEADS["17"], FILES, ranges)))).toThrow(invalid);
});
