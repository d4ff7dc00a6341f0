import type { Finding } from "@lifeboat/core";
import { connect, type ServerConnection } from "./connection.ts";
import { findingOf, preflight } from "./preflight.ts";
import { describeServer } from "./server-facts.ts";

/** What stands in the way of a good backup of the live server. What is wrong is a finding, never thrown. */
export async function inspectServer(connection: ServerConnection): Promise<readonly Finding[]> {
  try {
    const client = await connect(connection);
    try {
      return await preflight(connection, client, await describeServer(client));
    } finally {
      await client.end();
    }
  } catch (thrown) {
    return [findingOf(thrown)];
  }
}
