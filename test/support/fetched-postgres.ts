import { chmod, cp, mkdtemp, rm, stat } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { accountMay, serverAccount } from "@lifeboat/postgres";

/** The versions that `.ci/run` fetches beside those that a machine has. */
export const FETCHED_MAJORS: readonly number[] = [17];

/** Where `fetch-postgres.sh` puts a version; a plain user's and root's differ. */
function cacheOf(major: number): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(cache, "lifeboat-test", `postgresql-${major}`);
}

/**
 * Runs before all tests: shows the fetched versions to whoever looks for programs. Where the account
 * that servers run as cannot reach them (root's home is closed to others), a copy of this run.
 */
export default async function showFetchedPostgres(): Promise<() => Promise<void>> {
  const account = await serverAccount();
  const directories: string[] = [];
  const copies: string[] = [];
  for (const major of FETCHED_MAJORS) {
    let root = cacheOf(major);
    if (!(await stat(root).catch(() => undefined))) continue;
    if (!(await accountMay(account, "r", root))) {
      const copy = await mkdtemp(join(tmpdir(), `lifeboat-test-postgresql-${major}-`));
      copies.push(copy);
      const whole = join(copy, "postgresql");
      await cp(root, whole, { recursive: true, verbatimSymlinks: true });
      if (account.foreign) await chmod(copy, 0o755);
      root = whole;
    }
    directories.push(join(root, "lib", "postgresql", String(major), "bin"));
  }
  const given = process.env.LIFEBOAT_POSTGRES_BIN_PATH;
  const all = [...(given ? [given] : []), ...directories];
  if (all.length > 0) process.env.LIFEBOAT_POSTGRES_BIN_PATH = all.join(delimiter);
  return async () => {
    for (const copy of copies) await rm(copy, { recursive: true, force: true });
  };
}
