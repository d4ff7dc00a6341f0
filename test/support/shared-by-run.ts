import { randomBytes } from "node:crypto";
import { chown, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, serverAccount } from "@lifeboat/postgres";

/** Names the folder of this run. */
const FOLDER = "LIFEBOAT_TEST_SHARED";

/** Runs before all tests: makes the folder of what tests of this run share. */
export default async function makeSharedFolder(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-shared-"));
  await giveTo(await serverAccount(), folder);
  process.env[FOLDER] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

/**
 * A folder that the first test to need it fills, and all others of the run find; nobody may change it.
 * @param account its owner
 * @returns undefined outside the suite: the bench and the soaks share nothing
 */
export async function sharedByRun(
  name: string,
  account: Account,
  fill: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  const root = process.env[FOLDER];
  if (root === undefined) return undefined;
  const shared = join(root, name);
  if (await isThere(shared)) return shared;
  // Another worker may need it just now: each makes one, and the first has it.
  const own = `${shared}.${randomBytes(4).toString("hex")}`;
  await mkdir(own, { mode: 0o700 });
  await giveTo(account, own);
  await fill(own);
  try {
    await rename(own, shared);
  } catch (cause) {
    if (!(await isThere(shared))) throw cause;
    await rm(own, { recursive: true });
  }
  return shared;
}

async function giveTo(account: Account, folder: string): Promise<void> {
  if (account.foreign) await chown(folder, account.uid, account.gid);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
