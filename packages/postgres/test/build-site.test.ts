import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { type Account, serverAccount } from "../src/account.ts";
import { BuildSite } from "../src/build-site.ts";
import { clearLeftovers, leftoverPrefix, MOVING } from "../src/leftovers.ts";

let account: Account;
let folder: string;
let place: string;

beforeEach(async () => {
  account = await serverAccount();
  folder = await ownedFolder(account);
  place = join(folder, "data");
});

afterEach(() => rm(folder, { recursive: true }));

async function fill(directory: string, version: string): Promise<void> {
  await writeFile(join(directory, "PG_VERSION"), version);
  await mkdir(join(directory, "base"));
}

async function built(version: string, replaces = true): Promise<BuildSite> {
  const site = await BuildSite.open(place, account, { replaces });
  await fill(site.path, version);
  return site;
}

/** How a folder of a run that was killed is called: its process is gone. */
async function deadRun(): Promise<string> {
  const site = await BuildSite.open(place, account);
  const [, machine] =
    basename(site.path)
      .slice(leftoverPrefix(place).length)
      .match(/^(\w{16})-/) ?? [];
  await site.discard();
  return `${leftoverPrefix(place)}${machine}-4194304-1-${"0".repeat(12)}`;
}

const version = () => readFile(join(place, "PG_VERSION"), "utf8");

function keepsItsPromises(): void {
  test("gets its name when it is put in its place, and not before", async () => {
    const site = await built("15");
    await expect(version()).rejects.toThrow("ENOENT");
    await site.putInPlace();
    await site.settle();
    expect(await readdir(place)).toEqual(["PG_VERSION", "base"]);
  });

  test("gives what it replaced back when it is discarded, and removes it when all is done", async () => {
    const first = await built("first");
    await first.putInPlace();
    await first.settle();
    const second = await built("second");
    await second.putInPlace();
    expect(await version()).toBe("second");
    await second.discard();
    expect(await version()).toBe("first");
    const third = await built("third");
    await third.putInPlace();
    await third.settle();
    expect(await version()).toBe("third");
    expect(await readdir(place)).toEqual(["PG_VERSION", "base"]);
  });

  test("leaves alone what somebody put in its place meanwhile, also when it is discarded then", async () => {
    const late = await built("late", false);
    const first = await built("first");
    await first.putInPlace();
    await first.settle();
    await expect(late.putInPlace()).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
    });
    await late.discard();
    expect(await version()).toBe("first");
  });

  test.runIf(process.platform === "linux")(
    "is refused while another process builds for the same place",
    async () => {
      const site = await built("15");
      const other = site.path.replace(`-${process.pid}-`, `-${process.ppid}-`);
      await rename(
        site.path,
        other.replace(/-\d+-([0-9a-f]{12})$/, `-${startOf(process.ppid)}-$1`),
      );
      const folders = () => readdir(dirname(site.path));
      const before = await folders();
      await expect(BuildSite.open(place, account)).rejects.toMatchObject({
        code: "LOCKED",
        kind: "locked",
        message: expect.stringContaining(`pid ${process.ppid}`),
      });
      expect(await folders()).toEqual(before);
    },
  );
}

/** In clock ticks since boot. */
function startOf(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
}

describe("a directory built beside its place", () => {
  keepsItsPromises();

  test("leaves a missing place missing when it is discarded after all", async () => {
    const site = await built("15");
    await site.putInPlace();
    await site.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test("of a run that lives is left alone, of one that was killed is cleared", async () => {
    const living = await built("15");
    const dead = join(folder, await deadRun());
    await mkdir(dead);
    await clearLeftovers(place);
    expect(await readdir(folder)).toEqual([basename(living.path)]);
  });

  test("of a killed run takes the tablespaces along that it had put in place, and no others", async () => {
    const dead = await deadRun();
    await mkdir(join(folder, dead, "pg_tblspc"), { recursive: true });
    const marks = { mine: dead, others: "another run", finished: undefined };
    for (const [name, mark] of Object.entries(marks)) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, "rows"), "x");
      if (mark) await writeFile(join(folder, name, ".lifeboat-restore"), mark);
      await symlink(join(folder, name), join(folder, dead, "pg_tblspc", name));
    }
    await clearLeftovers(place);
    expect(await readdir(join(folder, "mine"))).toEqual([]);
    expect(await readdir(join(folder, "others"))).toContain("rows");
    expect(await readdir(join(folder, "finished"))).toEqual(["rows"]);
    expect(await readdir(folder)).not.toContain(dead);
  });
});

const mountable = await canMount();

if (mountable)
  describe("a directory whose place is a mount point", () => {
    beforeEach(async () => {
      await mkdir(place);
      await execa("mount", ["-t", "tmpfs", "tmpfs", place]);
    });

    afterEach(async () => {
      await execa("umount", [place]);
    });

    keepsItsPromises();

    test("is cleared when the run was killed while it moved its entries up", async () => {
      const dead = join(place, await deadRun());
      await mkdir(dead);
      await writeFile(join(dead, MOVING), "");
      await writeFile(join(dead, "PG_VERSION"), "15");
      await mkdir(join(place, "base"));
      await clearLeftovers(place);
      expect(await readdir(place)).toEqual([]);
    });
  });

/** Containers often may not, and only root can. */
async function canMount(): Promise<boolean> {
  const tried = await execa("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], {
    reject: false,
  });
  return !tried.failed;
}
