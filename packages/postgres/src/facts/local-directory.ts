import { stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { isSystemError } from "@lifeboat/core";
import { serverAccount } from "../files/account.ts";
import { fitsState, readControlFile } from "./control-file.ts";
import type { ServerFacts } from "./server-facts.ts";

/**
 * The server's data directory, if it lies on this host and we may read it. Another host may have a directory of the
 * same name: of another cluster, which its system identifier tells; or of a standby of this server, where its state does.
 */
export async function localDirectory(server: ServerFacts): Promise<string | undefined> {
  if (server.dataDirectory === null) return undefined;
  try {
    const found = await readControlFile(server.dataDirectory);
    const isIts = found.systemIdentifier === server.systemIdentifier && fitsState(found, server);
    return isIts ? server.dataDirectory : undefined;
  } catch (thrown) {
    for (const code of ["ENOENT", "EACCES", "ENOTDIR", "ESPIPE"])
      if (isSystemError(thrown, code)) return undefined;
    throw thrown;
  }
}

/** The account that owns the data directory, when that can be known here. */
export async function directoryOwner(server: ServerFacts): Promise<string | null> {
  const directory = await localDirectory(server);
  if (directory === undefined) return null;
  const { uid, username } = userInfo();
  if (uid === 0) return (await serverAccount(directory)).name;
  return (await stat(directory)).uid === uid ? username : null;
}
