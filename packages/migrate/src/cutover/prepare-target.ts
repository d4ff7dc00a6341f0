import type { Client } from "pg";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan } from "../plan.ts";
import { beginReverseCapture } from "../reverse/capture.ts";
import { setSequences } from "./set-sequences.ts";

/** Lets Postgres give out ids from where SQLite has come to, and keep its changes from now on. */
export async function prepareTarget(
  client: Client,
  source: LiveSource,
  plan: MigrationPlan,
): Promise<void> {
  await client.query("BEGIN");
  await setSequences(client, source.db, plan);
  await beginReverseCapture(client, plan);
  await client.query("COMMIT");
}
