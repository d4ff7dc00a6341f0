import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
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

async function built(version: string): Promise<BuildSite> {
  const site = await BuildSite.open(place, account);
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
}

/** Of the tablespace's location, and of what a server of another version has open there. */
async function otherVersions(): Promise<[string, number]> {
  const folder = join(place, "PG_17_1");
  return [await readFile(join(folder, "rows"), "utf8"), (await stat(folder)).ino];
}

function sharesATablespace(): void {
  const own = /^PG_15_\d+(\/|$)/;
  const rows = () => readFile(join(place, "PG_15_1", "rows"), "utf8");

  async function tablespace(content: string): Promise<BuildSite> {
    const site = await BuildSite.open(place, account, own);
    await site.markUnfinished("run", account);
    await mkdir(join(site.path, "PG_15_1"));
    await writeFile(join(site.path, "PG_15_1", "rows"), content);
    return site;
  }

  test("is a tablespace that replaces its own version's folder there, and leaves another's as it is", async () => {
    await mkdir(join(place, "PG_17_1"), { recursive: true });
    await writeFile(join(place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    const first = await tablespace("first");
    await first.putInPlace();
    await first.settle();
    const second = await tablespace("second");
    await second.putInPlace();
    expect(await rows()).toBe("second");
    expect(await otherVersions()).toEqual(others);
    await second.discard();
    expect(await rows()).toBe("first");
    expect(await otherVersions()).toEqual(others);
    const third = await tablespace("third");
    await third.putInPlace();
    await third.settle();
    expect(await rows()).toBe("third");
    expect(await otherVersions()).toEqual(others);
    expect((await readdir(place)).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
    const fourth = await tablespace("fourth");
    await rm(join(place, "PG_15_1"), { recursive: true });
    await fourth.putInPlace();
    await fourth.discard();
    expect(await readdir(place)).toEqual(["PG_17_1"]);
  });

  test("is a tablespace of which a killed run moved a part, and leaves another version's folder as it is", async () => {
    await mkdir(join(place, "PG_17_1"), { recursive: true });
    await writeFile(join(place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    const site = await BuildSite.open(place, account, own);
    const building = dirname(site.path);
    await site.discard();
    const dead = join(building, await deadRun());
    await mkdir(dead);
    await writeFile(join(dead, MOVING), "");
    await mkdir(join(place, "PG_15_1"));
    await clearLeftovers(place, own);
    expect(await readdir(place)).toEqual(["PG_17_1"]);
    expect(await otherVersions()).toEqual(others);
    await expect(readdir(dead)).rejects.toThrow("ENOENT");
  });
}

describe("a directory built beside its place", () => {
  keepsItsPromises();
  sharesATablespace();

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
    await writeFile(join(folder, dead, "PG_VERSION"), "15\n");
    for (const [name, mark] of Object.entries(marks)) {
      await mkdir(join(folder, name, "PG_15_1"), { recursive: true });
      await mkdir(join(folder, name, "PG_17_1"));
      if (mark) await writeFile(join(folder, name, ".lifeboat-restore"), mark);
      await symlink(join(folder, name), join(folder, dead, "pg_tblspc", name));
    }
    await clearLeftovers(place);
    // The other version's is no part of what the run had put there.
    expect(await readdir(join(folder, "mine"))).toEqual(["PG_17_1"]);
    expect(await readdir(join(folder, "others"))).toContain("PG_15_1");
    expect((await readdir(join(folder, "finished"))).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
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
    sharesATablespace();

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
