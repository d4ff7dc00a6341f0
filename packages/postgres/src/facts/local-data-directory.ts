import { LifeboatError } from "@lifeboat/core";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { localDirectory } from "./local-directory.ts";
import { describeServer } from "./server-facts.ts";

/**
 * The data directory of the live server where it lies on this host: as configured, or as the server says itself. Undefined
 * too where it can't be asked: whoever examines the server tells of that.
 */
export async function localDataDirectory(
  connection: ServerConnection,
): Promise<string | undefined> {
  if (connection.dataDirectory !== undefined) return connection.dataDirectory;
  try {
    return await withClient(connection, async (client) =>
      localDirectory(await describeServer(client)),
    );
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return undefined;
    throw thrown;
  }
}
