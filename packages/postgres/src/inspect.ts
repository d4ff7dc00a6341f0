import type { Finding } from "@lifeboat/core";
import { type ServerConnection, withClient } from "./connection/connection.ts";
import { describeServer } from "./facts/server-facts.ts";
import { findingOf, preflight } from "./preflight.ts";

/** What stands in the way of a good backup of the live server. What is wrong is a finding, never thrown. */
export async function inspectServer(connection: ServerConnection): Promise<readonly Finding[]> {
  try {
    return await withClient(connection, async (client) =>
      preflight(connection, client, await describeServer(client)),
    );
  } catch (thrown) {
    return [findingOf(thrown)];
  }
}
