import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { type Header, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loseWrittenPages } from "../../../test/support/fsync-watch.ts";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { type Account, serverAccount } from "../src/files/account.ts";
import { Unpacker } from "../src/unpack/unpack.ts";

let account: Account;
let folder: string;
let into: string;

beforeEach(async () => {
  account = await serverAccount();
  folder = await ownedFolder(account);
  into = join(folder, "into");
  await mkdir(into);
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

type EntryOf = Partial<Header> & { name: string; content?: string | Buffer };

/** A tar archive as bytes, of whatever entries: the library that packs it refuses nothing. */
async function archive(...entries: EntryOf[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = "", ...header } of entries) tar.entry(header, Buffer.from(content));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Buffer, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(
  bytes: Buffer,
  init: { passOver?: Set<string>; links?: Set<string>; only?: RegExp } = {},
) {
  const unpacker = new Unpacker({ into, account, ...init });
  await unpacker.add(inPieces(bytes), "base.tar.zst");
  await unpacker.finish();
}

/** A header whose name the packing library would have cleaned. */
function withName(bytes: Buffer, name: string): Buffer {
  const header = Buffer.from(bytes);
  header.fill(0, 0, 100);
  header.write(name, 0, "latin1");
  header.fill(" ", 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

const file = (name: string, content: string | Buffer = "x"): EntryOf => ({
  name,
  content,
  mode: 0o600,
});

describe("unpacking a base backup", () => {
  test("gives files and directories, closed to others, and owned by the server's account", async () => {
    const big = Buffer.alloc(3 * 2 ** 20, "lifeboat");
    await unpack(
      await archive(
        { name: "base/", type: "directory", mode: 0o707 },
        { ...file("base/1", big), mode: 0o606 },
        file("PG_VERSION", "15\n"),
        file("global/empty", ""),
      ),
    );
    expect(await readFile(join(into, "base/1"))).toEqual(big);
    expect(await readFile(join(into, "PG_VERSION"), "utf8")).toBe("15\n");
    expect((await stat(join(into, "global/empty"))).size).toBe(0);
    for (const path of ["", "base", "global"])
      expect((await stat(join(into, path))).mode & 0o777).toBe(0o700);
    const { mode, uid } = await stat(join(into, "PG_VERSION"));
    expect([mode & 0o777, uid]).toEqual([0o600, account.uid]);
  });

  test("ends where the disk lost pages of a long file while it was written, though the sync at its end succeeds", async () => {
    const long = await archive(file("base/1", Buffer.alloc(33 * 2 ** 20, "lifeboat")));
    using _ = await loseWrittenPages();
    await expect(unpack(long)).rejects.toThrow("EIO");
  });

  test("keeps the group's right to read where the cluster gave it", async () => {
    await unpack(
      await archive(
        { name: "base", type: "directory", mode: 0o750 },
        { ...file("base/1"), mode: 0o640 },
      ),
    );
    const modes = await Promise.all(
      ["", "base", "base/1"].map(async (path) => (await stat(join(into, path))).mode & 0o777),
    );
    expect(modes).toEqual([0o750, 0o750, 0o640]);
  });

  test("passes over what is not wanted, and links that are made otherwise", async () => {
    await unpack(
      await archive(
        file("postmaster.pid", "4711"),
        { name: "pg_tblspc", type: "directory" },
        { name: "pg_tblspc/16385", type: "symlink", linkname: "/srv/fast" },
        file("PG_VERSION"),
      ),
      { passOver: new Set(["postmaster.pid"]), links: new Set(["pg_tblspc/16385"]) },
    );
    expect((await readdir(into, { recursive: true })).toSorted()).toEqual([
      "PG_VERSION",
      "pg_tblspc",
    ]);
  });

  test("of a tablespace takes nothing but what a server makes there", async () => {
    const only = /^PG_15_\d+(\/|$)/;
    const honest = await archive({ name: "./", type: "directory" }, file("PG_15_202209061/5/6"));
    await unpack(honest, { only });
    expect(await readdir(into)).toEqual(["PG_15_202209061"]);
    for (const name of ["authorized_keys", "override.conf", "PG_15_2x/5", "PG_15_202209061x"])
      await expect(unpack(await archive(file(name)), { only }), name).rejects.toMatchObject({
        code: "ARCHIVE_UNSAFE",
      });
    expect(await readdir(into)).toEqual(["PG_15_202209061"]);
  });

  test("takes several archives into one directory", async () => {
    const unpacker = new Unpacker({ into, account });
    await unpacker.add(inPieces(await archive(file("base/1/a"))), "base.tar.zst");
    await unpacker.add(inPieces(await archive(file("base/1/b"))), "base.2.tar.zst");
    await unpacker.finish();
    expect(await readdir(join(into, "base/1"))).toEqual(["a", "b"]);
  });

  test("gives back the memory of its bytes, and loses none of them", async () => {
    const content = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251));
    const bytes = await archive(file("base/1/a", content), file("base/1/b", content));
    const given: Uint8Array[] = [];
    const own = async function* () {
      for await (const piece of inPieces(bytes)) {
        given.push(new Uint8Array(piece));
        yield given.at(-1) as Uint8Array;
      }
    };
    const unpacker = new Unpacker({ into, account });
    await unpacker.add(own(), "base.tar.zst");
    await unpacker.finish();
    for (const name of ["a", "b"])
      expect(await readFile(join(into, "base/1", name))).toEqual(content);
    expect(given.filter(({ length }) => length === 0).length).toBeGreaterThan(10);
  });

  test("of many files loses none", async () => {
    const entries = Array.from({ length: 300 }, (_, i) => file(`base/1/${i}`, `content ${i}`));
    await unpack(await archive(...entries));
    const digest = createHash("sha256");
    for (const { name } of entries) digest.update(await readFile(join(into, name)));
    const expected = createHash("sha256");
    for (const { content } of entries) expected.update(String(content));
    expect(digest.digest("hex")).toBe(expected.digest("hex"));
  });
});

describe("a hostile archive", () => {
  const attacks: Record<string, () => Promise<Buffer>> = {
    "an absolute path": async () => withName(await archive(file("x")), "/tmp/lifeboat-hostile"),
    "a path that climbs out": () => archive(file("../outside")),
    "a path that climbs out from within": () => archive(file("base/../../outside")),
    "a directory that climbs out": () => archive({ name: "../outside", type: "directory" }),
    "an empty part in a path": async () => withName(await archive(file("x")), "base//1"),
    "a path in an extended header that climbs out": () =>
      archive({ ...file("harmless"), pax: { path: "../outside" } }),
    "a symbolic link": () => archive({ name: "base", type: "symlink", linkname: "/etc" }),
    "a symbolic link, and a file written through it": () =>
      archive({ name: "base", type: "symlink", linkname: ".." }, file("base/outside")),
    "a tablespace link that the backup does not name": () =>
      archive({ name: "pg_tblspc/666", type: "symlink", linkname: "/etc" }),
    "a hard link": () => archive({ name: "shadow", type: "link", linkname: "/etc/shadow" }),
    "a named pipe": () => archive({ name: "pipe", type: "fifo" }),
    "a device": () => archive({ name: "disk", type: "block-device", devmajor: 8, devminor: 0 }),
    "a file twice": () => archive(file("PG_VERSION"), file("PG_VERSION")),
    "a file in place of a directory": () =>
      archive({ name: "base", type: "directory" }, file("base")),
    "a file below a file": () => archive(file("base"), file("base/1")),
    "a file named as the directory itself": async () => withName(await archive(file("x")), "./"),
  };

  test.each(Object.entries(attacks))("with %s is refused by name", async (_, make) => {
    const failure = await unpack(await make()).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "ARCHIVE_UNSAFE",
      message: expect.stringContaining("base.tar.zst: entry "),
    });
    expect(await readdir(folder)).toEqual(["into"]);
  });

  test("cannot write through a link that appears while it is unpacked", async () => {
    await symlink(folder, join(into, "base"));
    await expect(unpack(await archive(file("base/outside")))).rejects.toMatchObject({
      code: "ARCHIVE_UNSAFE",
    });
    expect(await readdir(folder)).toEqual(["into"]);
  });

  test("that is cut short is no archive", async () => {
    const whole = await archive(file("base/1", Buffer.alloc(10_000, 1)));
    await expect(unpack(whole.subarray(0, 5_000))).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
    });
  });

  test("with a header that is damaged is no archive", async () => {
    const bytes = await archive(file("base/1"));
    bytes.write("garbage", 148);
    await expect(unpack(bytes)).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
  });
});

test("what the source of an archive throws comes out as it is", async () => {
  const fault = new LifeboatError({ code: "CHECKSUM_MISMATCH", message: "it", remedy: "that" });
  const bytes = await archive(file("base/1", Buffer.alloc(100_000)));
  const broken = async function* () {
    yield bytes.subarray(0, 3_000);
    throw fault;
  };
  await expect(new Unpacker({ into, account }).add(broken(), "base.tar.zst")).rejects.toBe(fault);
});
