import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DatabaseFolder,
  LifeboatError,
  makeDirectories,
  ownProcessMark,
  processOfMarkIsGone,
} from "@lifeboat/core";
import { fileAt } from "./file-at.ts";

/**
 * That one watch of this account holds the WAL of a file, whatever it ships it to. Two would each keep the other from copying it
 * back: nothing would be lost, and the WAL would grow until the app's disk is full. Ends by disposal, or with its process.
 */
export class Claim {
  readonly #entry: string | undefined;

  private constructor(entry: string | undefined) {
    this.#entry = entry;
  }

  /**
   * @param path of the database
   * @param init `directory`: of this account alone; where it cannot be written to, or is left out, nothing is claimed, since that is no
   *   reason not to ship
   * @throws LifeboatError `DATABASE_WATCHED` (kind `locked`)
   */
  static async take(
    path: string,
    {
      directory,
      folder,
    }: { readonly directory: string | undefined; readonly folder: DatabaseFolder },
  ): Promise<Claim> {
    const file = fileAt(path);
    if (directory === undefined || file === undefined) return new Claim(undefined);
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
    if (this.#entry !== undefined) await rm(this.#entry, { force: true });
  }
}

function watched(path: string, mark: string, where: string): LifeboatError {
  const pid = Number(mark.split("-")[1]);
  return new LifeboatError({
    code: "DATABASE_WATCHED",
    kind: "locked",
    message: `process ${pid} ships the log of ${path} already, into ${where}: two would keep each other from emptying its WAL`,
    remedy:
      "stop that one first; for a second copy, copy the repository, or take backups into another one by lifeboat backup",
    details: { path, pid },
  });
}
