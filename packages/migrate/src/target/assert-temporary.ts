import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";

/**
 * Sees that the role may make temporary tables, which what is loaded live needs as soon as changes are brought: found out then, the load
 * would have been for nothing.
 * @throws LifeboatError `TARGET_DENIED` (usage)
 */
export async function assertTemporary(client: Client): Promise<void> {
  const { rows } = await client.query<{ allowed: boolean; database: string; role: string }>(
    `SELECT has_database_privilege(current_database(), 'TEMPORARY') AS allowed,
       quote_ident(current_database()) AS database, quote_ident(current_user) AS role`,
  );
  const [{ allowed, database, role } = { allowed: false, database: "", role: "" }] = rows;
  if (allowed) return;
  throw new LifeboatError({
    code: "TARGET_DENIED",
    kind: "usage",
    message: `the role ${role} of postgres.url may not make temporary tables in database ${database}, by which a sync brings changes; nothing was touched`,
    remedy: `GRANT TEMPORARY ON DATABASE ${database} TO ${role}; then run lifeboat migrate load again`,
    details: { role, database },
  });
}
