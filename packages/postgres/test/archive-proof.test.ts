import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { ArchiveProof } from "../src/basebackup/archive-proof.ts";
import type { TablespaceArchive } from "../src/basebackup/transport.ts";
import { PackedBytes } from "../src/packed/bytes.ts";

const BASE = { backup_label: "START", "base/1/1259": "pages", "base/1/empty": "" };
const SPACE = { "PG_15_1/5/16390": "rows" };

function archive(files: Record<string, string>, oid?: number): TablespaceArchive {
  const tar = pack();
  tar.entry({ name: "base", type: "directory" });
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, content);
  tar.finalize();
  return {
    tablespace: oid === undefined ? null : { oid, location: "/srv/space" },
    part: null,
    content: tar as AsyncIterable<Uint8Array>,
  };
}

/** A manifest as a server writes it: the digest of all lines before in the last one. */
function manifestOf(files: readonly object[]): PackedBytes {
  const lines = files.map((file) => JSON.stringify(file)).join(",\n");
  const body = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${lines}\n],\n`;
  const sha256 = createHash("sha256").update(body).digest("hex");
  return PackedBytes.of(Buffer.from(`${body}"Manifest-Checksum": "${sha256}"}\n`));
}

const LISTED = [
  { Path: "backup_label", Size: 5 },
  { Path: "base/1/1259", Size: 5 },
  { "Encoded-Path": Buffer.from("base/1/empty").toString("hex"), Size: 0 },
  { Path: "pg_tblspc/16385/PG_15_1/5/16390", Size: 4 },
];

async function proofOf(...archives: TablespaceArchive[]): Promise<ArchiveProof> {
  const proof = new ArchiveProof();
  for (const each of archives) for await (const _ of proof.watching(each).content);
  return proof;
}

test("archives that hold what the manifest lists are proved, tablespaces and encoded names included", async () => {
  const proof = await proofOf(
    archive({ ...BASE, backup_manifest: "not in itself" }),
    archive(SPACE, 16385),
  );
  proof.assertHolds(manifestOf(LISTED));
  expect(proof.manifest?.whole().toString()).toBe("not in itself");
});

const { "base/1/1259": _, ...withoutOne } = BASE;
test.each([
  ["a file that did not come", withoutOne, SPACE, "base/1/1259 is missing"],
  [
    "a file that came short",
    { ...BASE, "base/1/1259": "pag" },
    SPACE,
    "base/1/1259 has 3 bytes instead of 5",
  ],
  [
    "a file that came with more than it has",
    { ...BASE, "base/1/empty": "rows" },
    SPACE,
    "base/1/empty has 4 bytes instead of 0",
  ],
  ["a file of nobody", { ...BASE, "base/1/9999": "" }, SPACE, "base/1/9999 is not in the manifest"],
  ["a tablespace's file that did not come", BASE, {}, "pg_tblspc/16385/PG_15_1/5/16390 is missing"],
])("%s fails the backup by its name", async (_, base, space, fault) => {
  const proof = await proofOf(archive(base), archive(space, 16385));
  expect(() => proof.assertHolds(manifestOf(LISTED))).toThrow(
    expect.objectContaining({
      code: "BASE_BACKUP_INCOMPLETE",
      message: expect.stringContaining(fault),
    }),
  );
});

test("an archive that ends in the midst of a member's padding fails the backup, though no byte of a file is lost", async () => {
  const proof = new ArchiveProof();
  const { content, ...base } = archive(BASE);
  const bytes = Buffer.concat(await Array.fromAsync(content));
  const lastName = bytes.lastIndexOf("base/1/1259");
  const cut = bytes.subarray(0, lastName + 512 + 100);
  const short = { ...base, content: Readable.from([cut]) };
  for await (const _ of proof.watching(short).content);
  const listed = manifestOf(LISTED.slice(0, 2));
  expect(() => proof.assertHolds(listed)).toThrow(
    expect.objectContaining({ message: expect.stringContaining("the archive base is cut short") }),
  );
});

test("a file that comes twice fails the backup as it passes", async () => {
  const proof = new ArchiveProof();
  await expect(async () => {
    for (const each of [archive(BASE), archive(BASE)])
      for await (const _ of proof.watching(each).content);
  }).rejects.toMatchObject({ code: "BASE_BACKUP_INCOMPLETE" });
});

test("a manifest that is not as it was written proves nothing", async () => {
  const proof = await proofOf(archive(BASE), archive(SPACE, 16385));
  const changed = manifestOf(LISTED).whole().toString().replace('"Size":4', '"Size":5');
  expect(() => proof.assertHolds(PackedBytes.of(Buffer.from(changed)))).toThrow(
    expect.objectContaining({ code: "BACKUP_MANIFEST_INVALID" }),
  );
});
