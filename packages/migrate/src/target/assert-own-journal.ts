import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";

/**
 * Refuses a schema `lifeboat` that a role of the product has made: what is in it (a trigger on the journal, a view in its place) would run
 * with our rights, and what its rows say would be done. Trusted are our own role, those that it belongs to, superusers, and
 * roles that may stream the whole cluster anyhow, such as that of an earlier run.
 * @throws LifeboatError `JOURNAL_FOREIGN` (refused)
 */
export async function assertOwnJournal(client: Client): Promise<void> {
  const { rows } = await client.query<{ owner: string }>(
    `SELECT DISTINCT o.rolname AS owner FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'migrations'
       JOIN pg_roles o ON o.oid IN (n.nspowner, c.relowner), pg_roles me
     WHERE n.nspname = 'lifeboat' AND me.rolname = current_user AND o.oid <> me.oid
       AND NOT (o.rolsuper OR o.rolreplication OR NOT me.rolsuper AND pg_has_role(me.oid, o.oid, 'MEMBER'))`,
  );
  const [foreign] = rows;
  if (!foreign) return;
  throw new LifeboatError({
    code: "JOURNAL_FOREIGN",
    kind: "refused",
    message: `schema lifeboat of the target belongs to role ${foreign.owner}, which is not the one that migrates: nothing in it was read or run`,
    remedy:
      "look at what is in it; then drop it, or make the role of postgres.url its owner (alter schema lifeboat owner to ROLE, and its tables)",
    details: { owner: foreign.owner },
  });
}
