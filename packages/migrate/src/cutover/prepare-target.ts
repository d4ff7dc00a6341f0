import type { Client } from "pg";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan } from "../plan.ts";
import { installReverseCapture, removeReverseCapture } from "../reverse/capture.ts";
import { setSequences } from "./set-sequences.ts";

/** Lets Postgres give out ids from where SQLite has come to, and keep its changes from now on. */
export async function prepareTarget(
  client: Client,
  source: LiveSource,
  plan: MigrationPlan,
): Promise<void> {
  await client.query("BEGIN");
  await setSequences(client, source.db, plan);
  // Anew where a run that was killed had come this far: the product was not there yet.
  await removeReverseCapture(client, plan);
  await installReverseCapture(client, plan);
  await client.query("COMMIT");
}
