import { accessSync, constants, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { isSystemError, LifeboatError } from "@lifeboat/core/errors";

/**
 * Where this account remembers which repositories it has seen. `LIFEBOAT_STATE_DIRECTORY` decides;
 * else the place that the XDG base directory specification gives to state. An account without a home
 * that it may write to (a server started with another account's environment) has one in /var/tmp.
 * @throws LifeboatError `STATE_UNSAFE` where somebody else has laid something there
 */
export function stateDirectory(
  environment: NodeJS.ProcessEnv = process.env,
  shared = "/var/tmp",
): string {
  const { LIFEBOAT_STATE_DIRECTORY, XDG_STATE_HOME, HOME } = environment;
  if (LIFEBOAT_STATE_DIRECTORY) return LIFEBOAT_STATE_DIRECTORY;
  if (XDG_STATE_HOME) return join(XDG_STATE_HOME, "lifeboat");
  if (HOME && isWritable(HOME)) return join(HOME, ".local", "state", "lifeboat");
  const uid = process.getuid?.() ?? 0;
  return ownDirectory(join(shared, `lifeboat-${uid}`), uid);
}

/**
 * In a folder for all anybody may lay a directory of this name before us: a pipe in it in a note's place would be waited for by each archived
 * segment, and what else lies there believed. So it is made at once, and looked at.
 */
function ownDirectory(path: string, uid: number): string {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    // What may not be made may not be needed: who reads does without it.
    if (!isSystemError(cause, "EEXIST")) return path;
  }
  const found = lstatSync(path);
  const isOurs = found.isDirectory() && found.uid === uid;
  if (isOurs && (found.mode & 0o022) === 0) return path;
  throw new LifeboatError({
    code: "STATE_UNSAFE",
    message: `${path}, where this account keeps its state, is another account's, or others may write there`,
    remedy:
      "set LIFEBOAT_STATE_DIRECTORY, or HOME, to a directory of this account, or remove that one as root",
    details: { path },
  });
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    // Whatever the reason, it is no home for our state.
    return false;
  }
}
