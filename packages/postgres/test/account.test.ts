import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountMay, namedAccount, runAs, serverAccount } from "../src/files/account.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-account-"));
});

afterEach(() => rm(folder, { recursive: true }));

const isRoot = process.getuid?.() === 0;

describe("the account of server programs", () => {
  test("never is root, and programs really run as it", async () => {
    const account = await serverAccount();
    const { stdout } = await execa("id", ["-u"], runAs(account));
    expect(Number(stdout)).toBe(account.uid);
    expect(account.uid).not.toBe(0);
  });

  test("gets nothing of our own environment that could lead it elsewhere", async () => {
    process.env.PGDATABASE = "elsewhere";
    process.env.SECRET_OF_OURS = "x";
    const { stdout } = await execa("env", runAs(await serverAccount()));
    delete process.env.PGDATABASE;
    delete process.env.SECRET_OF_OURS;
    expect(stdout).not.toMatch(/PGDATABASE|SECRET_OF_OURS/);
  });

  if (isRoot) {
    test("is the data directory's owner, where that is not root", async () => {
      expect((await serverAccount(folder)).name).toMatch(/^(postgres|nobody)$/);
      const nobody = await namedAccount("nobody");
      await chown(folder, nobody.uid, nobody.gid);
      expect(await serverAccount(folder)).toEqual(nobody);
    });

    test("is the first name that this machine knows", async () => {
      expect((await namedAccount("no-such-account", "nobody")).name).toBe("nobody");
      await expect(namedAccount("root", "no-such-account")).rejects.toThrow("knows none");
    });

    test("may do what its rights allow, and not what ours do", async () => {
      const file = join(folder, "file");
      await writeFile(file, "x", { mode: 0o600 });
      expect(await accountMay(await serverAccount(), "r", file)).toBe(false);
    });
  } else
    test("is the user's own", async () => {
      expect(await serverAccount(folder)).toMatchObject({ uid: userInfo().uid, foreign: false });
    });
});
