import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { type Account, serverAccount } from "../src/account.ts";
import { BuildSite } from "../src/build-site.ts";
import { clearLeftovers, leftoverPrefix, MOVING } from "../src/leftovers.ts";
import { Sites } from "../src/restore-sites.ts";

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
      await rename(site.path, ofAnotherRun(site.path));
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

/** How a building folder of ours would be called were it of another process that lives. */
function ofAnotherRun(path: string): string {
  return path
    .replace(`-${process.pid}-`, `-${process.ppid}-`)
    .replace(/-\d+-([0-9a-f]{12})$/, `-${startOf(process.ppid)}-$1`);
}

/** In clock ticks since boot. */
function startOf(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
}

/** Of the tablespace's location, and of what a server of another version has open there. */
async function otherVersions(): Promise<[string, number]> {
  const folder = join(place, "PG_17_1");
  return [await readFile(join(folder, "rows"), "utf8"), (await stat(folder)).ino];
}

function sharesATablespace(): void {
  const own = /^PG_15_\d+(\/|$)/;
  const rows = () => readFile(join(place, "PG_15_1", "rows"), "utf8");

  async function tablespace(content: string, replaces = true): Promise<BuildSite> {
    const site = await BuildSite.open(place, account, { replaces, own });
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

  test("is a tablespace that takes its place beside another version's folder, also one that came there meanwhile", async () => {
    const site = await tablespace("rows", false);
    await mkdir(join(place, "PG_17_1"), { recursive: true });
    await writeFile(join(place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    await site.putInPlace();
    await site.settle();
    expect(await rows()).toBe("rows");
    expect(await otherVersions()).toEqual(others);
  });

  test.each(["PG_15_2", "notes"])(
    "is a tablespace that is kept out by what came there meanwhile and is no other version's: %s",
    async (name) => {
      const site = await tablespace("late", false);
      await mkdir(join(place, "PG_17_1"), { recursive: true });
      await mkdir(join(place, name));
      await expect(site.putInPlace()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
      await site.discard();
      expect((await readdir(place)).toSorted()).toEqual(["PG_17_1", name].toSorted());
    },
  );

  test("is a tablespace that is discarded after another version's came beside it, which stays", async () => {
    const site = await tablespace("rows", false);
    await site.putInPlace();
    await mkdir(join(place, "PG_17_1"));
    await site.discard();
    expect(await readdir(place)).toEqual(["PG_17_1"]);
  });

  test("is a tablespace that gives back what it replaced also beside another version's folder that came meanwhile", async () => {
    const first = await tablespace("first");
    await first.putInPlace();
    await first.settle();
    const second = await tablespace("second");
    await second.putInPlace();
    await mkdir(join(place, "PG_17_1"));
    await second.discard();
    expect(await rows()).toBe("first");
    expect((await readdir(place)).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
  });

  test("is a tablespace whose move up ends half-way, and what kept it out stays", async () => {
    await mkdir(join(place, "PG_17_1"), { recursive: true });
    const site = await tablespace("rows", false);
    // Nothing moves onto a folder that is filled.
    await mkdir(join(site.path, "PG_17_1"));
    await writeFile(join(site.path, "PG_17_1", "rows"), "built");
    await writeFile(join(place, "PG_17_1", "rows"), "of 17");
    await expect(site.putInPlace()).rejects.toThrow("ENOTEMPTY");
    await site.discard();
    expect(await readdir(place)).toEqual(["PG_17_1"]);
    expect(await readFile(join(place, "PG_17_1", "rows"), "utf8")).toBe("of 17");
  });

  test("is a tablespace of which a killed run moved a part, and leaves another version's folder as it is", async () => {
    await mkdir(join(place, "PG_17_1"), { recursive: true });
    await writeFile(join(place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    const site = await BuildSite.open(place, account, { own });
    const building = dirname(site.path);
    await site.discard();
    const dead = join(building, await deadRun());
    await mkdir(dead);
    await writeFile(join(dead, MOVING), ".lifeboat-restore\0PG_15_1");
    await mkdir(join(place, "PG_15_1"));
    await clearLeftovers(place);
    expect(await readdir(place)).toEqual(["PG_17_1"]);
    expect(await otherVersions()).toEqual(others);
    await expect(readdir(dead)).rejects.toThrow("ENOENT");
  });
}

describe("a directory built beside its place", () => {
  keepsItsPromises();
  sharesATablespace();

  test("leaves an empty place empty, and there, when it is discarded after all", async () => {
    await mkdir(place);
    const site = await built("15", false);
    await site.putInPlace();
    await site.discard();
    expect(await readdir(place)).toEqual([]);
  });

  test("leaves a missing place missing when it is discarded after all", async () => {
    const site = await built("15");
    await site.putInPlace();
    await site.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test("does not take the place of what came there meanwhile when nothing was to be replaced", async () => {
    const places = { dataDirectory: place, tablespaces: [], replaced: [], major: 15 };
    const sites = await Sites.open(places, account);
    await fill(sites.data.path, "15");
    await mkdir(place);
    await writeFile(join(place, "mine"), "x");
    await expect(sites.putInPlace()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    await sites.discard();
    expect(await readdir(place)).toEqual(["mine"]);
  });

  test.runIf(process.platform === "linux")(
    "is refused with all that belongs to it while another run, to another directory, builds one of its tablespaces",
    async () => {
      const fast = { oid: 1, location: join(folder, "fast"), object: "" };
      const places = (name: string, major: number) => ({
        ...{ dataDirectory: join(folder, name), replaced: [], major },
        tablespaces: [{ tablespace: fast, place: fast.location }],
      });
      const first = await Sites.open(places("one", 15), account);
      const [built] = first.tablespaces;
      await rename(built?.site.path ?? "", ofAnotherRun(built?.site.path ?? ""));
      const before = await readdir(folder);
      for (const major of [15, 17])
        await expect(Sites.open(places("two", major), account)).rejects.toMatchObject({
          code: "LOCKED",
          details: { path: fast.location },
        });
      expect(await readdir(folder)).toEqual(before);
    },
  );

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
      await writeFile(join(dead, MOVING), "base\0PG_VERSION");
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
