import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/**
 * Where this account remembers which repositories it has seen. `LIFEBOAT_STATE_DIRECTORY` decides;
 * else the place that the XDG base directory specification gives to state. An account without a home
 * that it may write to (a server started with another account's environment) has one in /var/tmp.
 */
export function stateDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { LIFEBOAT_STATE_DIRECTORY, XDG_STATE_HOME, HOME } = environment;
  if (LIFEBOAT_STATE_DIRECTORY) return LIFEBOAT_STATE_DIRECTORY;
  if (XDG_STATE_HOME) return join(XDG_STATE_HOME, "lifeboat");
  if (HOME && isWritable(HOME)) return join(HOME, ".local", "state", "lifeboat");
  return `/var/tmp/lifeboat-${process.getuid?.() ?? 0}`;
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
