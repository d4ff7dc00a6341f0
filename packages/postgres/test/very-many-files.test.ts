import { expect, test } from "vitest";
import { heldMemory } from "../../../test/support/held-memory.ts";
import { ArchiveProof } from "../src/basebackup/archive-proof.ts";
import { ManifestWriter } from "../src/basebackup/parallel/manifest-writer.ts";
import { TAR_END, tarHeader } from "../src/basebackup/parallel/tar-header.ts";
import { TarRanges } from "../src/snapshot/tar-ranges.ts";
import { lsnOf } from "../src/wal/lsn.ts";

const FILES = 100_000;
const MOST_HELD = 40 << 20;

test("what a backup has to know of a hundred thousand files takes less than half a kilobyte for each", async () => {
  const pathOf = (n: number) =>
    `base/5/${100_000 + Math.trunc(n / 3)}${["", "_fsm", "_vm"][n % 3]}`;
  const modified = new Date(1e12);
  const manifest = new ManifestWriter({ systemIdentifier: "7577001122334455667", major: 18 });
  async function* archive(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < FILES; n++) {
      const path = pathOf(n);
      manifest.add({ path, bytes: 0, modified, sha256: "ab".repeat(32) });
      yield tarHeader({ path, bytes: 0, mode: 0o600, modified, kind: "file" });
    }
    yield TAR_END;
  }
  const before = heldMemory();
  const proof = new ArchiveProof();
  const ranges = new TarRanges();
  const { content } = proof.watching({ tablespace: null, part: null, content: archive() });
  for await (const _ of ranges.watching(content));
  const wal = { timeline: 1, start: lsnOf("0/2000028"), end: lsnOf("0/2000100") };
  const written = manifest.finish(wal);
  expect(heldMemory() - before).toBeLessThan(MOST_HELD);
  proof.assertHolds(written);
  expect([...ranges.lines("base.tar.zst")]).toHaveLength(Math.ceil(FILES / 64));
});
