import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DatabaseFolder,
  LifeboatError,
  makeDirectories,
  ownProcessMark,
  processOfMarkIsGone,
  processOfMarkLives,
} from "@lifeboat/core";
import { fileAt } from "./file-at.ts";
import { MachineClaim } from "./machine-claim.ts";

/**
 * That one watch holds the WAL of a file, whatever it ships it to. Two would each keep the other from copying it back: nothing would be
 * lost, and the WAL would grow until the app's disk is full. Those of one account know each other by entries in its state directory,
 * which say where the log goes; others by a name for all of this machine. Ends by disposal, or with its process.
 */
export class Claim {
  readonly #entry: string | undefined;
  #forAll: MachineClaim | undefined;

  private constructor(entry: string | undefined) {
    this.#entry = entry;
  }

  /**
   * @param path of the database
   * @param init `directory`: of this account alone; where it cannot be written to, or is left out, nothing is claimed there, since that
   *   is no reason not to ship
   * @throws LifeboatError `DATABASE_WATCHED` (kind `locked`)
   */
  static async take(path: string, init: ClaimInit): Promise<Claim> {
    const file = fileAt(path);
    if (file === undefined) return new Claim(undefined);
    const claim = await Claim.#ofAccount(path, file, init);
    const forAll = await MachineClaim.take(file);
    if (forAll instanceof MachineClaim) {
      claim.#forAll = forAll;
      return claim;
    }
    await claim[Symbol.asyncDispose]();
    throw watched(path, forAll.mark);
  }

  static async #ofAccount(
    path: string,
    file: string,
    { directory, folder }: ClaimInit,
  ): Promise<Claim> {
    if (directory === undefined) return new Claim(undefined);
    const prefix = `watched-${file.replace(":", "-")}.`;
    const name = `${prefix}${ownProcessMark()}.${randomBytes(4).toString("hex")}`;
    const claim = new Claim(join(directory, name));
    try {
      await makeDirectories(directory, 0o700);
      // Each writes an entry of its own, then looks for others: of two at once at least one sees the other.
      const what = `${folder.storage.description}, ${folder.path}`;
      await writeFile(join(directory, name), what, { flag: "wx", mode: 0o600 });
    } catch {
      return new Claim(undefined);
    }
    for (const other of await readdir(directory)) {
      if (other === name || !other.startsWith(prefix)) continue;
      const entry = join(directory, other);
      const [mark = ""] = other.slice(prefix.length).split(".");
      if (processOfMarkIsGone(mark)) await rm(entry, { force: true });
      else {
        await claim[Symbol.asyncDispose]();
        throw watched(path, mark, await readFile(entry, "utf8").catch(() => "elsewhere"));
      }
    }
    return claim;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forAll?.[Symbol.asyncDispose]();
    if (this.#entry !== undefined) await rm(this.#entry, { force: true });
  }
}

interface ClaimInit {
  readonly directory: string | undefined;
  readonly folder: DatabaseFolder;
}

/** @param mark of the other watch's process; null where it does not say. Of one in another container the number means nothing here */
function watched(path: string, mark: string | null, where?: string): LifeboatError {
  const pid = mark !== null && processOfMarkLives(mark) ? Number(mark.split("-")[1]) : null;
  const who = pid === null ? "another process of this machine" : `process ${pid}`;
  const into = where === undefined ? "" : `, into ${where}`;
  return new LifeboatError({
    code: "DATABASE_WATCHED",
    kind: "locked",
    message: `${who} ships the log of ${path} already${into}: two would keep each other from emptying its WAL`,
    remedy:
      "stop that one first; for a second copy, copy the repository, or take backups into another one by lifeboat backup",
    details: { path, pid },
  });
}
