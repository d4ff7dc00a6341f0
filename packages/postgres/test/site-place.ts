import { mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { type Account, serverAccount } from "../src/files/account.ts";
import { BuildSite } from "../src/places/build-site.ts";
import { leftoverPrefix } from "../src/places/leftovers.ts";

/** Where a test builds: in a folder of its own, which belongs to the account that servers run as. */
export interface SitePlace {
  readonly account: Account;
  readonly folder: string;
  /** In that folder; missing, unless it is a mount point. */
  readonly place: string;
}

/** Is another one in each test. */
export function sitePlace(): SitePlace {
  const at = {} as { -readonly [Name in keyof SitePlace]: SitePlace[Name] };
  beforeEach(async () => {
    at.account = await serverAccount();
    at.folder = await ownedFolder(at.account);
    at.place = join(at.folder, "data");
  });
  afterEach(() => rm(at.folder, { recursive: true }));
  return at;
}

const mountable = await canMount();

/** The same tests once more where the place is a mount point, if one may be made here. */
export function describeInEachPlace(what: string, at: SitePlace, tests: () => void): void {
  describe(`${what} built beside its place`, tests);
  describeOnMountPoint(what, at, tests);
}

export function describeOnMountPoint(what: string, at: SitePlace, tests: () => void): void {
  describe.runIf(mountable)(`${what} whose place is a mount point`, () => {
    beforeEach(async () => {
      await mkdir(at.place);
      await execa("mount", ["-t", "tmpfs", "tmpfs", at.place]);
    });
    afterEach(async () => {
      await execa("umount", [at.place]);
    });
    tests();
  });
}

/** How a folder of a run that was killed is called: its process is gone. */
export async function deadRun({ place, account }: SitePlace): Promise<string> {
  const site = await BuildSite.open(place, account);
  const [, machine] =
    basename(site.path)
      .slice(leftoverPrefix(place).length)
      .match(/^(\w{16})-/) ?? [];
  await site.discard();
  return `${leftoverPrefix(place)}${machine}-4194304-1-${"0".repeat(12)}`;
}

/** Containers often may not, and only root can. */
async function canMount(): Promise<boolean> {
  const tried = await execa("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], {
    reject: false,
  });
  return !tried.failed;
}
