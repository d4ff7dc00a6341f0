import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mayBeRemote, networkFileSystem, roomAt } from "../src/examine/file-system.ts";

test("network file systems are known by their statfs type, signed or not", () => {
  expect(networkFileSystem(0x6969)).toBe("NFS");
  expect(networkFileSystem(0xff534d42)).toBe("CIFS");
  expect(networkFileSystem(0xff534d42 | 0)).toBe("CIFS");
  expect(networkFileSystem(0xfe534d42)).toBe("SMB");
});

test("local file systems are not taken for network ones", () => {
  const local = { ext4: 0xef53, xfs: 0x58465342, btrfs: 0x9123683e, tmpfs: 0x01021994 };
  const others = { overlay: 0x794c7630, zfs: 0x2fc12fc1, f2fs: 0xf2f52010 };
  for (const type of Object.values({ ...local, ...others })) {
    expect(networkFileSystem(type)).toBeUndefined();
    expect(mayBeRemote(type)).toBe(false);
  }
  expect(mayBeRemote(0x65735546)).toBe(true);
});

test("a path that is not there yet has the room of its nearest folder", async () => {
  const { freeBytes } = await roomAt(join(tmpdir(), "none", "at", "all"));
  expect(freeBytes).toBeGreaterThan(0);
  expect(networkFileSystem((await roomAt(tmpdir())).type)).toBeUndefined();
});
