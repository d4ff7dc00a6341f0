import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { LifeboatError } from "./errors.ts";
import { isRecord } from "./json-shape.ts";
import { allObjects } from "./listing.ts";
import { ownProcessMark, processOfMarkIsGone, processOfMarkLives } from "./process-mark.ts";
import { readDocument } from "./read-document.ts";
import type { Storage } from "./storage.ts";

/** How long an entry of a process that cannot be seen from here counts as living. */
const LEASE_MS = 10 * 60_000;

interface LockEntry {
  readonly purpose: string;
  readonly host: string;
  readonly pid: number;
  readonly user: string;
  readonly mark: string;
  readonly since: string;
  readonly until: string;
  /** It is not renewed: on its own machine it holds for as long as its process lives. */
  readonly quiet?: true;
}

export interface LockOptions {
  /**
   * Writes nothing while it is held, for holders that run for months and cost an idle storage nothing.
   * From another machine it counts for one lease only.
   */
  readonly quiet?: boolean;
  /** Stops the search for other holders: killed runs may have left very many entries. */
  readonly signal?: AbortSignal;
}

/** Held until released, or until its process is gone. */
export interface Lock {
  /**
   * Whether it is still ours. A run that was suspended, or cut off from the storage, for longer than
   * its lease may have lost it to another machine's, which removes our entry.
   */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/** Each is made durable by itself: one after the other, 20,000 took two minutes. */
const REMOVED_AT_ONCE = 100;

/** A storage that hangs is given so long when a watch was told to stop. */
const RELEASE_MS = 200;

/**
 * The lock of a watch holds for as long as its process lives: that an entry of it stays harms nobody, and must neither
 * hide why the watch ended nor keep it from ending.
 */
export async function letGoOf(locks: readonly Lock[], signal: AbortSignal): Promise<void> {
  const released = Promise.allSettled(locks.map((lock) => lock.release()));
  if (!signal.aborted) {
    await released;
    return;
  }
  const { promise: patience, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, RELEASE_MS);
  await Promise.race([released, patience]);
  clearTimeout(timer);
}

/**
 * Takes a lock in a repository, on any storage with conditional create and a consistent listing:
 * each run writes an entry of its own, then looks for others. Of two at once at least one sees the
 * other, so never both hold it (both may give way). An entry whose process is gone is removed; one
 * of another machine lives on by a lease, which its holder renews with a new entry, since objects
 * are never rewritten.
 *
 * @param folder where the entries lie: `<app>/locks/<name>`
 * @throws LifeboatError `LOCKED` (kind `locked`) naming who holds it
 */
export async function takeLock(
  storage: Storage,
  folder: string,
  purpose: string,
  { quiet = false, signal }: LockOptions = {},
): Promise<Lock> {
  let mine = await writeEntry(storage, folder, purpose, quiet);
  try {
    const holder = await otherHolder(storage, folder, { mine, signal });
    if (holder) throw locked(folder, holder);
  } catch (cause) {
    await storage.remove(mine);
    throw cause;
  }
  const renew = async () => {
    const before = mine;
    // Whoever took it over has removed our entry: with a new one there would be two holders.
    if (!(await storage.stat(before))) return clearInterval(timer);
    mine = await writeEntry(storage, folder, purpose, quiet);
    await storage.remove(before);
  };
  let renewal: Promise<unknown> = Promise.resolve();
  const timer = quiet
    ? undefined
    : setInterval(() => {
        // A renewal that fails is tried again at the next tick, well before the lease ends.
        renewal = renewal.then(renew).catch(() => {});
      }, LEASE_MS / 4);
  timer?.unref();
  return {
    async isHeld() {
      await renewal;
      return (await storage.stat(mine)) !== undefined;
    },
    async release() {
      clearInterval(timer);
      await renewal;
      await storage.remove(mine);
    },
  };
}

/** Who holds a lock. */
export type LockHolder = Pick<LockEntry, "purpose" | "host" | "pid" | "user" | "since">;

/** The living run that holds the lock; changes nothing. */
export async function lockHolder(
  storage: Storage,
  folder: string,
): Promise<LockHolder | undefined> {
  for await (const { path } of allObjects(storage, `${folder}/`)) {
    const entry = await readEntry(storage, path);
    if (entry && isHeld(entry)) return entry;
  }
  return undefined;
}

async function writeEntry(
  storage: Storage,
  folder: string,
  purpose: string,
  quiet: boolean,
): Promise<string> {
  const now = Date.now();
  const entry: LockEntry = {
    purpose,
    host: hostname(),
    pid: process.pid,
    user: accountName(),
    mark: ownProcessMark(),
    since: new Date(now).toISOString(),
    until: new Date(now + LEASE_MS).toISOString(),
    ...(quiet && { quiet }),
  };
  const path = `${folder}/${randomBytes(8).toString("hex")}.json`;
  await storage.create(path, Buffer.from(`${JSON.stringify(entry, null, 2)}\n`));
  return path;
}

async function otherHolder(
  storage: Storage,
  folder: string,
  { mine, signal }: { readonly mine: string; readonly signal: AbortSignal | undefined },
): Promise<LockEntry | undefined> {
  let gone: string[] = [];
  const removeGone = async () => {
    await Promise.all(gone.map((path) => storage.remove(path)));
    gone = [];
  };
  for await (const { path } of allObjects(storage, `${folder}/`)) {
    signal?.throwIfAborted();
    if (path === mine) continue;
    const entry = await readEntry(storage, path);
    if (entry && isHeld(entry)) return entry;
    if (gone.push(path) === REMOVED_AT_ONCE) await removeGone();
  }
  await removeGone();
  return undefined;
}

async function readEntry(storage: Storage, path: string): Promise<LockEntry | undefined> {
  try {
    const bytes = await readDocument(storage, path);
    // Missing: released between the listing and the reading.
    const entry: unknown = bytes && JSON.parse(bytes.toString("utf8"));
    return isEntry(entry) ? entry : undefined;
  } catch (thrown) {
    // Entries appear whole, so this one was damaged: it protects nobody.
    const damaged = thrown instanceof LifeboatError && thrown.code === "MANIFEST_CORRUPT";
    if (damaged || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function isEntry(entry: unknown): entry is LockEntry {
  const texts = ["purpose", "host", "user", "mark", "since", "until"];
  return (
    isRecord(entry) &&
    typeof entry.pid === "number" &&
    texts.every((member) => typeof entry[member] === "string")
  );
}

function isHeld(entry: LockEntry): boolean {
  if (entry.quiet && processOfMarkLives(entry.mark)) return true;
  const left = Date.parse(entry.until) - Date.now();
  // A lease that ends later than any is given was written by a clock gone wrong, or by somebody who
  // would keep us from ever taking a backup.
  return !processOfMarkIsGone(entry.mark) && left > 0 && left <= 2 * LEASE_MS;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // An account without a name (a container's number) is shown by that; nothing depends on it.
    return String(process.getuid?.());
  }
}

function locked(folder: string, holder: LockEntry): LifeboatError {
  return new LifeboatError({
    code: "LOCKED",
    kind: "locked",
    message: `${holder.purpose} is running on ${holder.host} (pid ${holder.pid}, since ${holder.since})`,
    remedy: "wait until it has ended; a lock whose process is gone is taken over by itself",
    details: { lock: folder, host: holder.host, pid: holder.pid, since: holder.since },
  });
}
