import { LifeboatError, reasonOf } from "@lifeboat/core";
import type { Client } from "pg";
import type { DdlStatement } from "../plan.ts";
import { targetError } from "../target/target-error.ts";

/**
 * Runs one statement of the plan.
 * @throws LifeboatError `TARGET_REFUSED` naming the object that could not be made, `POSTGRES_LOST`
 */
export async function runDdl(client: Client, statement: DdlStatement): Promise<void> {
  try {
    await client.query(statement.sql);
  } catch (cause) {
    const lost = targetError(cause);
    if (lost instanceof LifeboatError) throw lost;
    throw new LifeboatError({
      code: "TARGET_REFUSED",
      message: `Postgres refuses ${statement.name} of ${statement.table} (${statement.phase}): ${reasonOf(cause)}`,
      remedy:
        "nothing was kept; leave it out by a choice in migrate.columns, or set right what it says",
      details: { table: statement.table, name: statement.name, phase: statement.phase },
      cause,
    });
  }
}
