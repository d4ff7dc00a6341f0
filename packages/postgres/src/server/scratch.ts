import { randomBytes } from "node:crypto";
import { chown, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { type Account, accountMay } from "../files/account.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

/**
 * A socket's path may have 107 bytes (`sun_path` of Linux; macOS allows 103), and the server adds
 * `/.s.PGSQL.65535.lock` to its directory.
 */
const LONGEST_ROOT = 60;

/**
 * A temporary folder that only the account (and root) can enter, and that does not outlive us: when
 * this process ends without removing it, even by kill -9, its watchdog does.
 */
export class Scratch {
  readonly path: string;
  readonly watchdog: Watchdog;

  private constructor(path: string, watchdog: Watchdog) {
    this.path = path;
    this.watchdog = watchdog;
  }

  /**
   * @param below where it lies; a folder whose path is short enough for a server's socket when left out
   * @throws LifeboatError `NO_TEMPORARY_FOLDER` when the account can write to none
   */
  static async make(account: Account, below?: string): Promise<Scratch> {
    const root = below ?? (await temporaryRoot(account));
    const path = join(root, `lifeboat-${randomBytes(6).toString("hex")}`);
    // The watchdog first: between making the folder and guarding it we could be killed.
    const watchdog = startWatchdog([path]);
    await mkdir(path, { mode: 0o700 });
    if (account.foreign) await chown(path, account.uid, account.gid);
    return new Scratch(path, watchdog);
  }

  /** Removes the folder. May be called twice. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await this.watchdog.end();
  }
}

/** The machine's own choice, unless the account cannot enter it or it is too long for a socket. */
async function temporaryRoot(account: Account): Promise<string> {
  const candidates = [...new Set([tmpdir(), "/tmp", "/var/tmp"])];
  for (const folder of candidates)
    if (Buffer.byteLength(folder) <= LONGEST_ROOT && (await accountMay(account, "w", folder)))
      return folder;
  throw new LifeboatError({
    code: "NO_TEMPORARY_FOLDER",
    message: `account ${account.name} can write to none of ${candidates.join(", ")}`,
    remedy: "set TMPDIR to a folder that it can write to, with a path of at most 60 bytes",
    details: { account: account.name, candidates },
  });
}
