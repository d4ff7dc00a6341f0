import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeDirectories, ownProcessMark } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import {
  assertNobodyElseBuilds,
  clearMoved,
  emptyOut,
  entriesOf,
  filledMeanwhile,
  leftoverPrefix,
  MOVING,
  othersIn,
  UNFINISHED,
} from "./leftovers.ts";
import { isInTheWay } from "./version-folder.ts";

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
  /** What lies in its place then was to be replaced; else whatever came there meanwhile is somebody's. */
  readonly #replaces: boolean;
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
    replaces: boolean;
    own: RegExp | undefined;
  }) {
    this.#replaces = init.replaces;
    this.#own = init.own;
    this.place = init.place;
    this.path = init.path;
    this.#existed = init.existed;
    this.#inside = init.inside;
  }

  /**
   * Makes the building folder, after clearing what dead runs left for this place.
   * @param replaces what lies in its place may be replaced
   * @param own of a tablespace: its version's folder; what else lies in its place is left alone
   * @throws LifeboatError `LOCKED` (kind `locked`) while another run builds for the same place
   */
  static async open(
    place: string,
    account: Account,
    {
      replaces = false,
      own,
    }: { readonly replaces?: boolean; readonly own?: RegExp | undefined } = {},
  ): Promise<BuildSite> {
    await makeParents(dirname(place), account);
    const existed = (await entriesOf(place)) !== undefined;
    const inside = existed && (await isMountPoint(place));
    const name = `${leftoverPrefix(place)}${ownProcessMark()}-${randomBytes(6).toString("hex")}`;
    const path = join(inside ? place : dirname(place), name);
    await mkdir(path, { mode: 0o700 });
    try {
      // Looked for once ours is there: of two at once at least one finds the other.
      await assertNobodyElseBuilds(place);
      if (account.foreign) await chown(path, account.uid, account.gid);
    } catch (cause) {
      await rm(path, { recursive: true, force: true });
      throw cause;
    }
    return new BuildSite({ place, path, existed, inside, replaces, own });
  }

  /** Marks it as part of a restore that is not done, in case we are killed before it is. */
  async markUnfinished(run: string, account: Account): Promise<void> {
    await writeDurably(join(this.path, UNFINISHED), run, { account, mode: 0o600 });
    await syncDirectories([this.path]);
  }

  /** Gives it its name. Everything in it must be durable before. What it replaces is kept aside. */
  async putInPlace(): Promise<void> {
    const entries = (await entriesOf(this.place)) ?? [];
    if (!this.#replaces && entries.some((name) => isInTheWay(name, this.#own)))
      throw filledMeanwhile(this.place);
    const others = entries.length > 0 ? await othersIn(this.place, this.#own) : [];
    // Another version's server may be alive on what lies beside: that keeps its path at any time.
    this.#byEntries = this.#inside || entries.some((name) => others.includes(name));
    if (entries.some((name) => !others.includes(name))) await this.#moveAside();
    if (this.#byEntries) await this.#moveUp();
    // Takes the place of an empty directory as well, but never of one that is filled: that is not ours to clear, either.
    else await rename(this.path, this.place);
    this.#inPlace = true;
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

  /** Leaves the place as it was before, but for what another version's run has put there meanwhile. */
  async discard(): Promise<void> {
    await clearMoved(this.path, this.place);
    await rm(this.path, { recursive: true, force: true });
    if (this.#inPlace) await emptyOut(this.place, await othersIn(this.place, this.#own));
    if (this.#aside !== undefined) await this.#giveBack(this.#aside);
    // Fails where something has come there, which is not ours to remove.
    else if (this.#inPlace && !this.#existed) await rmdir(this.place).catch(() => {});
  }

  async #giveBack(aside: string): Promise<void> {
    const stands = await entriesOf(this.place);
    if (!this.#byEntries && !stands?.length) return rename(aside, this.place);
    await moveEntries(aside, this.place, []);
    await rm(aside, { recursive: true });
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
    const names = (await readdir(this.path)).join("\0");
    await writeFile(join(this.path, MOVING), names, { mode: 0o600, flush: true });
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
