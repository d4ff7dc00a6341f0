import { constants } from "node:fs";
import {
  access,
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  opendir,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LifeboatError } from "@lifeboat/core/errors";
import { isOpenToAll } from "./open-to-all.ts";

/** The command, copied to where any account can run it. */
export interface StagedCommand {
  /** The program and its first arguments; a verb follows. */
  readonly command: readonly string[];
  /** Removes the copy. */
  remove(): Promise<void>;
}

/**
 * Copies the bundled command and the running Node into a temporary folder that every account can
 * read. A server runs `archive_command` and `restore_command` as its own account, which may not be
 * able to enter the folder where Lifeboat lies (a clone under somebody's home). Verbs that need
 * better-sqlite3 do not work from there; `wal push` and `wal fetch` do.
 *
 * @param bundle the folder of the bundle, where it is not the package's own `dist/bin`
 * @throws LifeboatError `BUNDLE_MISSING`; `STAGE_UNREADABLE` when there is no place to copy to
 */
export async function stageCommand(
  bundle = join(packageDirectory(), "dist", "bin"),
): Promise<StagedCommand> {
  await assertBundle(bundle);
  for (const place of new Set([tmpdir(), "/tmp", "/var/tmp"])) {
    if (!(await isOpenToAll(place))) continue;
    const directory = await mkdtemp(join(place, "lifeboat-command-"));
    const remove = () => rm(directory, { recursive: true, force: true });
    try {
      const command = await copyInto(directory, bundle);
      if (await isExecutable(command[0])) return { command, remove };
    } catch (thrown) {
      await remove();
      throw thrown;
    }
    await remove();
  }
  throw new LifeboatError({
    code: "STAGE_UNREADABLE",
    message: "there is no temporary folder from which another account could run programs",
    remedy: "set TMPDIR to a folder that all accounts may enter, on a file system without noexec",
  });
}

/** Two above the bundle's `dist/bin`, one above `src`. */
function packageDirectory(): string {
  const above = import.meta.url.endsWith(".ts") ? ".." : "../..";
  return fileURLToPath(new URL(above, import.meta.url));
}

async function assertBundle(bundle: string): Promise<void> {
  try {
    await access(join(bundle, "main.js"));
  } catch (cause) {
    throw new LifeboatError({
      code: "BUNDLE_MISSING",
      message: `${bundle} holds no bundle`,
      remedy: "make it with npm run setup",
      cause,
    });
  }
}

async function copyInto(directory: string, bundle: string): Promise<[string, string]> {
  const node = join(directory, "node");
  const bin = join(directory, "bin");
  await mkdir(bin);
  await cp(bundle, join(directory, "dist", "bin"), { recursive: true });
  for (const name of ["start.cjs", "lifeboat.cjs"])
    await copyFile(join(packageDirectory(), "bin", name), join(bin, name));
  await writeFile(join(directory, "package.json"), '{ "type": "module" }\n');
  await copyFile(process.execPath, node, constants.COPYFILE_FICLONE);
  await openToAll(directory);
  return [node, join(bin, "lifeboat.cjs")];
}

/** Our umask may be narrow; the code is no secret. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for await (const entry of await opendir(directory)) {
    const inside = join(directory, entry.name);
    if (entry.isDirectory()) await openToAll(inside);
    else await chmod(inside, 0o755);
  }
}

/** Says no as well where the file system is mounted with noexec. */
async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    // The next place is tried.
    return false;
  }
}
