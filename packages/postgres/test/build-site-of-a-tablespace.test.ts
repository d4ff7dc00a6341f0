import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { BuildSite } from "../src/places/build-site.ts";
import { clearLeftovers, MOVING } from "../src/places/leftovers.ts";
import { deadRun, describeInEachPlace, sitePlace } from "./site-place.ts";

const at = sitePlace();

/** Of the tablespace's location, and of what a server of another version has open there. */
async function otherVersions(): Promise<[string, number]> {
  const other = join(at.place, "PG_17_1");
  return [await readFile(join(other, "rows"), "utf8"), (await stat(other)).ino];
}

describeInEachPlace("a tablespace, beside those of other versions,", at, () => {
  const own = /^PG_15_\d+(\/|$)/;
  const rows = () => readFile(join(at.place, "PG_15_1", "rows"), "utf8");

  async function tablespace(content: string, replaces = true): Promise<BuildSite> {
    const site = await BuildSite.open(at.place, at.account, { replaces, own });
    await site.markUnfinished("run", at.account);
    await mkdir(join(site.path, "PG_15_1"));
    await writeFile(join(site.path, "PG_15_1", "rows"), content);
    return site;
  }

  test("replaces its own version's folder there, and leaves another's as it is", async () => {
    await mkdir(join(at.place, "PG_17_1"), { recursive: true });
    await writeFile(join(at.place, "PG_17_1", "rows"), "of 17");
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
    expect((await readdir(at.place)).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
    const fourth = await tablespace("fourth");
    await rm(join(at.place, "PG_15_1"), { recursive: true });
    await fourth.putInPlace();
    await fourth.discard();
    expect(await readdir(at.place)).toEqual(["PG_17_1"]);
  });

  test("takes its place beside another version's folder, also one that came there meanwhile", async () => {
    const site = await tablespace("rows", false);
    await mkdir(join(at.place, "PG_17_1"), { recursive: true });
    await writeFile(join(at.place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    await site.putInPlace();
    await site.settle();
    expect(await rows()).toBe("rows");
    expect(await otherVersions()).toEqual(others);
  });

  test.each(["PG_15_2", "notes"])(
    "is kept out by what came there meanwhile and is no other version's: %s",
    async (name) => {
      const site = await tablespace("late", false);
      await mkdir(join(at.place, "PG_17_1"), { recursive: true });
      await mkdir(join(at.place, name));
      await expect(site.putInPlace()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
      await site.discard();
      expect((await readdir(at.place)).toSorted()).toEqual(["PG_17_1", name].toSorted());
    },
  );

  test("is discarded after another version's came beside it, which stays", async () => {
    const site = await tablespace("rows", false);
    await site.putInPlace();
    await mkdir(join(at.place, "PG_17_1"));
    await site.discard();
    expect(await readdir(at.place)).toEqual(["PG_17_1"]);
  });

  test("gives back what it replaced also beside another version's folder that came meanwhile", async () => {
    const first = await tablespace("first");
    await first.putInPlace();
    await first.settle();
    const second = await tablespace("second");
    await second.putInPlace();
    await mkdir(join(at.place, "PG_17_1"));
    await second.discard();
    expect(await rows()).toBe("first");
    expect((await readdir(at.place)).toSorted()).toEqual(["PG_15_1", "PG_17_1"]);
  });

  test("leaves what kept it out where its move up ends half-way", async () => {
    await mkdir(join(at.place, "PG_17_1"), { recursive: true });
    const site = await tablespace("rows", false);
    // Nothing moves onto a folder that is filled.
    await mkdir(join(site.path, "PG_17_1"));
    await writeFile(join(site.path, "PG_17_1", "rows"), "built");
    await writeFile(join(at.place, "PG_17_1", "rows"), "of 17");
    await expect(site.putInPlace()).rejects.toThrow("ENOTEMPTY");
    await site.discard();
    expect(await readdir(at.place)).toEqual(["PG_17_1"]);
    expect(await readFile(join(at.place, "PG_17_1", "rows"), "utf8")).toBe("of 17");
  });

  test("of which a killed run moved a part is cleared, and leaves another version's folder as it is", async () => {
    await mkdir(join(at.place, "PG_17_1"), { recursive: true });
    await writeFile(join(at.place, "PG_17_1", "rows"), "of 17");
    const others = await otherVersions();
    const site = await BuildSite.open(at.place, at.account, { own });
    const building = dirname(site.path);
    await site.discard();
    const dead = join(building, await deadRun(at));
    await mkdir(dead);
    await writeFile(join(dead, MOVING), ".lifeboat-restore\0PG_15_1");
    await mkdir(join(at.place, "PG_15_1"));
    await clearLeftovers(at.place);
    expect(await readdir(at.place)).toEqual(["PG_17_1"]);
    expect(await otherVersions()).toEqual(others);
    await expect(readdir(dead)).rejects.toThrow("ENOENT");
  });
});
