import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { DeltaTally } from "../src/delta/delta-tally.ts";
import { layWhole } from "../src/delta/lay-whole.ts";
import { StandingTree } from "../src/delta/standing-tree.ts";
import { serverAccount } from "../src/files/account.ts";

const CHUNK = 700_000;

/** In chunks that are no ranges, each in memory of its own, which is given back. */
async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK)
    yield new Uint8Array(bytes.subarray(at, at + CHUNK));
}

test("files are brought to an archive's state range by range, wherever its chunks end", async () => {
  const account = await serverAccount();
  const folder = await ownedFolder(account);
  const into = join(folder, "into");
  try {
    await mkdir(into);
    const content = Buffer.from(Array.from({ length: 3_500_000 }, (_, at) => (at * 31) % 251));
    const standing = Buffer.from(content);
    standing.fill("changed", 2_000_000, 2_000_100);
    await writeFile(join(into, "a"), standing);
    const tar = pack();
    for (const name of ["a", "b"]) tar.entry({ name, mode: 0o600 }, content);
    tar.finalize();
    const bytes = Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Buffer>));
    const tree = new StandingTree({ into, account });
    const tally = new DeltaTally();
    await layWhole(chunks(bytes), { tree, rules: {}, path: "base.tar.zst", tally });
    for (const name of ["a", "b"])
      expect((await readFile(join(into, name))).equals(content), name).toBe(true);
    expect(tally.counts(0)).toMatchObject({ rangesKept: 3, rangesWritten: 5 });
  } finally {
    await rm(folder, { recursive: true });
  }
});
