import type { Client } from "pg";
import type { GateFinding } from "../cutover/gates.ts";
import type { MigrationPlan } from "../plan.ts";
import { appRights } from "./app-rights.ts";
import { rightsGate } from "./rights-in-words.ts";

/** The gate of the product's role, where it is known; without it nobody looks. */
export function rightsLook(
  client: Client,
  role: string | undefined,
  plan: MigrationPlan,
): { rights?: () => Promise<GateFinding> } {
  if (role === undefined) return {};
  return { rights: async () => rightsGate(await appRights(client, role, plan)) };
}
