import { execFileSync } from "node:child_process";
import { chmod, chown, link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LocalFiles } from "../src/basebackup/parallel/local-files.ts";
import { serverAccount } from "../src/files/account.ts";

const account = await serverAccount();

describe("a data directory whose account changes it between our look and our reading", () => {
  let root: string;
  let secret: string;
  let data: string;
  let files: LocalFiles;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "lifeboat-local-files-"));
    await chmod(root, 0o755);
    secret = join(root, "secret");
    await writeFile(secret, "secret", { mode: 0o600 });
    data = join(root, "data");
    await mkdir(data);
    files = new LocalFiles(data, account.foreign ? account : undefined);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const refused = async (reason: RegExp) => {
    const failure = await files.open("1").catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({
      code: "DATA_DIRECTORY_UNREADABLE",
      message: expect.stringMatching(reason),
    });
  };

  test("has no link in a file's place followed", async () => {
    await symlink(secret, join(data, "1"));
    await refused(/it is a symbolic link/);
  });

  test("has no pipe in a file's place waited for", async () => {
    execFileSync("mkfifo", [join(data, "1")]);
    await refused(/it is no regular file/);
  });

  test.runIf(account.foreign)("has no other account's file read that it may not read", async () => {
    await link(secret, join(data, "1"));
    await refused(/it belongs to another account/);
    await rm(data, { recursive: true });
    const closed = join(root, "closed");
    await mkdir(closed, { mode: 0o700 });
    await writeFile(join(closed, "1"), "readable to all who get there");
    await symlink(closed, data);
    await refused(/it belongs to another account/);
  });

  test.runIf(account.foreign)(
    "has a key read that belongs to root, and that it may read",
    async () => {
      await writeFile(join(data, "1"), "key", { mode: 0o640 });
      await chown(join(data, "1"), 0, account.gid);
      const file = await files.open("1");
      expect(file?.bytes).toBe(3);
      await file?.close();
    },
  );
});
