import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { makeDirectories, ownProcessMark } from "@lifeboat/core";
import type { Account } from "./account.ts";
import { syncDirectories, writeDurably } from "./durable.ts";
import { emptyOut, entriesOf, leftoverPrefix, MOVING, othersIn, UNFINISHED } from "./leftovers.ts";

/**
 * One directory that is built beside its place and put there when all is done: a data directory,
 * or a tablespace. What a run that was killed left behind, the next one to the same place removes;
 * whose it is tells its name, `.data.lifeboat-<process>-<random>`.
 */
export class BuildSite {
  /** Where it shall be. */
  readonly place: string;
  /** Where it is built. */
  readonly path: string;
  readonly #existed: boolean;
  /** A mount point cannot be renamed over: there it is built inside, and its entries are moved up. */
  readonly #inside: boolean;
  /** Of a tablespace: what of its place is the cluster's, and may be replaced. */
  readonly #own: RegExp | undefined;
  /** Its entries were moved, one by one, and not itself. */
  #byEntries = false;
  #inPlace = false;
  /** What was in its place, when it is replaced. */
  #aside: string | undefined;

  private constructor(init: {
    place: string;
    path: string;
    existed: boolean;
    inside: boolean;
    own: RegExp | undefined;
  }) {
    this.#own = init.own;
    this.place = init.place;
    this.path = init.path;
    this.#existed = init.existed;
    this.#inside = init.inside;
  }

  /**
   * Makes the building folder.
   * @param own of a tablespace: its version's folder; what else lies in its place is left alone
   */
  static async open(place: string, account: Account, own?: RegExp): Promise<BuildSite> {
    await makeParents(dirname(place), account);
    const existed = (await entriesOf(place)) !== undefined;
    const inside = existed && (await isMountPoint(place));
    const name = `${leftoverPrefix(place)}${ownProcessMark()}-${randomBytes(6).toString("hex")}`;
    const path = join(inside ? place : dirname(place), name);
    await mkdir(path, { mode: 0o700 });
    if (account.foreign) await chown(path, account.uid, account.gid);
    return new BuildSite({ place, path, existed, inside, own });
  }

  /** Marks it as part of a restore that is not done, in case we are killed before it is. */
  async markUnfinished(run: string, account: Account): Promise<void> {
    await writeDurably(join(this.path, UNFINISHED), run, { account, mode: 0o600 });
    await syncDirectories([this.path]);
  }

  /** Gives it its name. Everything in it must be durable before. What it replaces is kept aside. */
  async putInPlace(): Promise<void> {
    const entries = (await entriesOf(this.place)) ?? [];
    const others = entries.length > 0 ? await othersIn(this.place, this.#own) : [];
    // Another version's server may be alive on what lies beside: that keeps its path at any time.
    this.#byEntries = this.#inside || entries.some((name) => others.includes(name));
    if (entries.some((name) => !others.includes(name))) await this.#moveAside();
    this.#inPlace = true;
    if (this.#byEntries) await this.#moveUp();
    // Takes the place of an empty directory as well, but never of one that is filled.
    else await rename(this.path, this.place);
    await syncDirectories([this.place, dirname(this.place)]);
  }

  /** The whole restore is done: what was replaced is removed, also what an earlier run kept. */
  async settle(): Promise<void> {
    await rm(join(this.place, UNFINISHED), { force: true });
    const folder = this.#inside ? this.place : dirname(this.place);
    for (const name of await readdir(folder))
      if (name.startsWith(this.#asidePrefix()))
        await rm(join(folder, name), { recursive: true, force: true });
  }

  /** Leaves the place as it was before. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    if (this.#inPlace) await this.#clear();
    if (this.#aside === undefined) return;
    if (!this.#byEntries) return rename(this.#aside, this.place);
    await moveEntries(this.#aside, this.place, []);
    await rm(this.#aside, { recursive: true });
  }

  async #clear(): Promise<void> {
    if (this.#byEntries || (this.#existed && this.#aside === undefined))
      await emptyOut(this.place, await othersIn(this.place, this.#own));
    else await rm(this.place, { recursive: true, force: true });
  }

  /** Not yet removed: killed here, the old state is still on the disk, under a name that says so. */
  async #moveAside(): Promise<void> {
    const name = `${this.#asidePrefix()}${randomBytes(6).toString("hex")}`;
    this.#aside = join(this.#inside ? this.place : dirname(this.place), name);
    if (!this.#byEntries) return rename(this.place, this.#aside);
    await mkdir(this.#aside, { mode: 0o700 });
    await moveEntries(this.place, this.#aside, await othersIn(this.place, this.#own));
  }

  async #moveUp(): Promise<void> {
    await writeFile(join(this.path, MOVING), "", { mode: 0o600 });
    await syncDirectories([this.path]);
    await moveEntries(this.path, this.place, [MOVING]);
    await rm(this.path, { recursive: true });
  }

  #asidePrefix(): string {
    return `${leftoverPrefix(this.place)}replaced-`;
  }
}

/** What makes it a data directory moves last: a half of one does not start. */
async function moveEntries(from: string, to: string, keep: readonly string[]): Promise<void> {
  const entries = (await readdir(from)).filter((name) => !keep.includes(name));
  const last = (name: string) => Number(name === "PG_VERSION");
  for (const name of entries.toSorted((a, b) => last(a) - last(b)))
    await rename(join(from, name), join(to, name));
}

async function isMountPoint(place: string): Promise<boolean> {
  return (await stat(place)).dev !== (await stat(dirname(place))).dev;
}

/** A folder, and those above it that are missing, for the account. */
export async function makeParents(folder: string, account: Account): Promise<void> {
  const first = await makeDirectories(folder, 0o700);
  if (first === undefined || !account.foreign) return;
  // The server must be able to reach its data directory through the folders that we made.
  for (let made = folder; made.length >= first.length; made = dirname(made))
    await chown(made, account.uid, account.gid);
}
