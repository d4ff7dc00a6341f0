import type { ServerConnection } from "@lifeboat/postgres";
import type { Session } from "./session.ts";
import { usage } from "./usage.ts";

/** The live Postgres server, whichever engine is live, for verbs that concern it alone. */
export async function postgresConnection(
  session: Session,
  verb: string,
): Promise<ServerConnection> {
  session.assertEngine(["postgres"], verb);
  const { postgres } = await session.configuration();
  if (postgres) return postgres;
  throw usage(`${verb}: the configuration has no postgres`, "add postgres.url to it");
}
