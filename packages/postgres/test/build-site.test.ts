import { readFileSync } from "node:fs";
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { BuildSite } from "../src/places/build-site.ts";
import { clearLeftovers, MOVING } from "../src/places/leftovers.ts";
import { Sites } from "../src/places/restore-sites.ts";
import { deadRun, describeInEachPlace, describeOnMountPoint, sitePlace } from "./site-place.ts";

const at = sitePlace();

async function fill(directory: string, version: string): Promise<void> {
  await writeFile(join(directory, "PG_VERSION"), version);
  await mkdir(join(directory, "base"));
}

async function built(version: string, replaces = true): Promise<BuildSite> {
  const site = await BuildSite.open(at.place, at.account, { replaces });
  await fill(site.path, version);
  return site;
}

const version = () => readFile(join(at.place, "PG_VERSION"), "utf8");

/** An account that is neither ours nor the server's; it need have no name. */
const SOMEBODY = 54_321;

describeInEachPlace("a directory", at, () => {
  test("gets its name when it is put in its place, and not before", async () => {
    const site = await built("15");
    await expect(version()).rejects.toThrow("ENOENT");
    await site.putInPlace();
    await site.settle();
    expect(await readdir(at.place)).toEqual(["PG_VERSION", "base"]);
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
    expect(await readdir(at.place)).toEqual(["PG_VERSION", "base"]);
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
      await expect(BuildSite.open(at.place, at.account)).rejects.toMatchObject({
        code: "LOCKED",
        kind: "locked",
        message: expect.stringContaining(`pid ${process.ppid}`),
      });
      expect(await folders()).toEqual(before);
    },
  );
});

describe("a directory built beside its place", () => {
  test("leaves an empty place empty, and there, when it is discarded after all", async () => {
    await mkdir(at.place);
    const site = await built("15", false);
    await site.putInPlace();
    await site.discard();
    expect(await readdir(at.place)).toEqual([]);
  });

  test("leaves a missing place missing when it is discarded after all", async () => {
    const site = await built("15");
    await site.putInPlace();
    await site.discard();
    expect(await readdir(at.folder)).toEqual([]);
  });

  test("does not take the place of what came there meanwhile when nothing was to be replaced", async () => {
    const places = { dataDirectory: at.place, tablespaces: [], replaced: [], major: 15 };
    const sites = await Sites.open(places, at.account);
    await fill(sites.data.path, "15");
    await mkdir(at.place);
    await writeFile(join(at.place, "mine"), "x");
    await expect(sites.putInPlace()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    await sites.discard();
    expect(await readdir(at.place)).toEqual(["mine"]);
  });

  test.runIf(process.platform === "linux")(
    "is refused with all that belongs to it while another run, to another directory, builds one of its tablespaces",
    async () => {
      const fast = { oid: 1, location: join(at.folder, "fast"), object: "" };
      const places = (name: string, major: number) => ({
        ...{ dataDirectory: join(at.folder, name), replaced: [], major },
        tablespaces: [{ tablespace: fast, place: fast.location }],
      });
      const first = await Sites.open(places("one", 15), at.account);
      const [built] = first.tablespaces;
      await rename(built?.site.path ?? "", ofAnotherRun(built?.site.path ?? ""));
      const before = await readdir(at.folder);
      for (const major of [15, 17])
        await expect(Sites.open(places("two", major), at.account)).rejects.toMatchObject({
          code: "LOCKED",
          details: { path: fast.location },
        });
      expect(await readdir(at.folder)).toEqual(before);
    },
  );

  test("of a run that lives is left alone, of one that was killed is cleared", async () => {
    const living = await built("15");
    const dead = join(at.folder, await deadRun(at));
    await mkdir(dead);
    // It keeps nobody out, before it is cleared as well.
    await (await BuildSite.open(at.place, at.account)).discard();
    await clearLeftovers(at.place);
    expect(await readdir(at.folder)).toEqual([basename(living.path)]);
  });

  test.runIf(process.getuid?.() === 0)(
    "that somebody else laid into a folder for all has nothing removed",
    async () => {
      await chmod(at.folder, 0o1777);
      const planted = join(at.folder, await deadRun(at));
      await mkdir(planted);
      await writeFile(join(planted, MOVING), "base");
      await chown(planted, SOMEBODY, SOMEBODY);
      await mkdir(join(at.place, "base"), { recursive: true });
      await clearLeftovers(at.place);
      expect(await readdir(at.place)).toEqual(["base"]);
      await chown(planted, at.account.uid, at.account.gid);
      await clearLeftovers(at.place);
      expect(await readdir(at.folder)).toEqual([basename(at.place)]);
    },
  );

  test("of a killed run takes the tablespaces along that it had put in place, and no others", async () => {
    const dead = await deadRun(at);
    await mkdir(join(at.folder, dead, "pg_tblspc"), { recursive: true });
    const marks = { mine: dead, others: "another run", finished: undefined };
    await writeFile(join(at.folder, dead, "PG_VERSION"), "15\n");
    for (const [name, mark] of Object.entries(marks)) {
      await mkdir(join(at.folder, name, "PG_15_1"), { recursive: true });
      await mkdir(join(at.folder, name, "PG_17_1"));
      if (mark) await writeFile(join(at.folder, name, ".lifeboat-restore"), mark);
      await symlink(join(at.folder, name), join(at.folder, dead, "pg_tblspc", name));
    }
    await clearLeftovers(at.place);
    // The other version's is no part of what the run had put there.
    expect(await readdir(join(at.folder, "mine"))).toEqual(["PG_17_1"]);
    expect(await readdir(join(at.folder, "others"))).toContain("PG_15_1");
    expect((await readdir(join(at.folder, "finished"))).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
    expect(await readdir(at.folder)).not.toContain(dead);
  });
});

describeOnMountPoint("a directory", at, () => {
  test("is cleared when the run was killed while it moved its entries up", async () => {
    const dead = join(at.place, await deadRun(at));
    await mkdir(dead);
    await writeFile(join(dead, MOVING), "base\0PG_VERSION");
    await writeFile(join(dead, "PG_VERSION"), "15");
    await mkdir(join(at.place, "base"));
    await clearLeftovers(at.place);
    expect(await readdir(at.place)).toEqual([]);
  });
});

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
