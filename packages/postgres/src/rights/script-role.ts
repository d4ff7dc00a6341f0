import { LifeboatError } from "@lifeboat/core";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { type RoleScript, roleOf } from "./least-privilege.ts";

/** The superuser that initdb makes when nobody says otherwise. */
const USUAL_SUPERUSER = "postgres";
/** Whom the script makes where the configuration names a superuser; the other where that one is called so. */
const OWN_ROLES = ["lifeboat", "lifeboat_backup"] as const;

/**
 * Whom the script of least rights is for: the role that `postgres.url` names. A superuser needs none of its
 * grants, and taking backups as one is what the script is there to end: then it is for a role of Lifeboat's own. The server
 * is asked, if it lets us in; the role may be one that the script is only going to make.
 */
export async function scriptRole(connection: ServerConnection): Promise<RoleScript> {
  const named = roleOf(connection.url);
  const superuser = (await isSuperuser(connection)) ?? named.role === USUAL_SUPERUSER;
  if (!superuser) return named;
  const role = OWN_ROLES.find((each) => each !== named.role) ?? OWN_ROLES[0];
  return { ...named, role, insteadOf: named.role };
}

async function isSuperuser(connection: ServerConnection): Promise<boolean | undefined> {
  try {
    return await withClient(connection, async (client) => {
      const { rows } = await client.query<{ superuser: boolean }>(
        "select rolsuper as superuser from pg_roles where rolname = current_user",
      );
      return rows[0]?.superuser;
    });
  } catch (cause) {
    // The script is what makes the role that would be let in.
    if (cause instanceof LifeboatError) return undefined;
    throw cause;
  }
}
