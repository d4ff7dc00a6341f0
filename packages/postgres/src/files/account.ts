import { stat } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { execa } from "execa";

/**
 * The account that server programs run as. Postgres refuses to run as root, so root must give up
 * its rights for each of them.
 */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Whether it is another account than the one we run as: then processes are started with it and files given to it. */
  readonly foreign: boolean;
}

/** The accounts tried, in this order, when root has no data directory to go by. */
const UNPRIVILEGED = ["postgres", "nobody"];

/** Whoever we run as; client programs may be run by any account. */
export function ownAccount(): Account {
  const { username, uid, gid } = userInfo();
  return { name: username, uid, gid, foreign: false };
}

/**
 * Who runs server programs: for a plain user that user itself; for root the owner of the first of
 * `places` that an unprivileged account owns (a data directory), else `postgres`, else `nobody`.
 * @throws if the machine knows none of them, which no supported system does
 */
export async function serverAccount(...places: readonly string[]): Promise<Account> {
  const own = ownAccount();
  if (own.uid !== 0) return own;
  for (const place of places) {
    const owner = await unprivilegedOwner(place);
    if (owner) return owner;
  }
  return namedAccount(...UNPRIVILEGED);
}

/** The first of these names that this machine knows, for root; a plain user can only be itself. */
export async function namedAccount(...names: readonly string[]): Promise<Account> {
  const own = ownAccount();
  if (own.uid !== 0) return own;
  for (const name of names) {
    const uid = await askId("-u", name);
    const gid = await askId("-g", name);
    if (uid && gid && uid !== "0")
      return { name, uid: Number(uid), gid: Number(gid), foreign: true };
  }
  throw new Error(`this machine knows none of the accounts ${names.join(", ")}`);
}

/** The account that owns a place; undefined when it is missing or root's. */
export async function unprivilegedOwner(place: string): Promise<Account | undefined> {
  const found = await stat(place).catch(() => undefined);
  if (!found || found.uid === 0) return undefined;
  const name = (await askId("-un", String(found.uid))) ?? String(found.uid);
  return { name, uid: found.uid, gid: found.gid, foreign: true };
}

/**
 * `id` (POSIX) asks every source of accounts that the system has: /etc/passwd, LDAP, macOS'
 * directory. Node itself can only describe the user it runs as.
 */
async function askId(...args: string[]): Promise<string | undefined> {
  const { failed, stdout } = await execa("id", args, { reject: false });
  return failed ? undefined : stdout.trim();
}

/**
 * Options with which a program is started as the account: nothing of our own environment but what
 * finding programs, libraries and locales takes (`PG…` variables would turn a server or client elsewhere,
 * and secrets have no place there), and a working directory that every account can enter.
 */
export function runAs(account: Account) {
  return {
    ...(account.foreign ? { uid: account.uid, gid: account.gid } : {}),
    cwd: "/",
    extendEnv: false,
    env: serverEnvironment(),
  };
}

function serverEnvironment(): Record<string, string> {
  const kept = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "LOCPATH", "LOCALE_ARCHIVE"];
  const environment: Record<string, string> = { LC_ALL: "C", TMPDIR: tmpdir() };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/**
 * Whether the account may read (`r`), write (`w`), or search or run (`x`) a place. Asked by trying
 * it as that account: the bits of a file say nothing of access lists, mounts and closed parents.
 */
export async function accountMay(
  account: Account,
  right: "r" | "w" | "x",
  place: string,
): Promise<boolean> {
  const tried = await execa("test", [`-${right}`, place], { ...runAs(account), reject: false });
  return tried.exitCode === 0;
}
