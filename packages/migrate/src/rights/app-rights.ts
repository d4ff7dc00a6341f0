import type { Client } from "pg";
import type { MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { TargetAddress } from "../request.ts";
import { askTarget } from "../target/ask-target.ts";
import { newestEntry } from "../target/journal.ts";
import { serverError } from "../target/target-error.ts";
import type { AskedRole, Lack } from "./asked-role.ts";
import { rightsOfALoad } from "./default-rights.ts";
import { rightsOfTables } from "./table-rights.ts";

/** Whether the product's own role may do in Postgres what the product does in SQLite. */
export interface AppRights extends Lack {
  readonly role: string;
  readonly exists: boolean;
  /** Whether a migration's tables are there; else it is told what a load would give. */
  readonly loaded: boolean;
}

/** Whose rights are asked about. */
export interface AppRole {
  readonly role: string;
  /** Where a load would make the tables; `public` when left out. */
  readonly schema?: string;
}

/** @throws LifeboatError those of `askTarget`, `JOURNAL_FOREIGN` */
export async function askAppRights(
  address: TargetAddress,
  whose: AppRole,
  signal: AbortSignal,
): Promise<AppRights> {
  try {
    return await askTarget(address, signal, (client) => rightsNow(client, whose));
  } catch (cause) {
    throw serverError(cause);
  }
}

/** Of the tables of a migration where they are there; else of those that this connection would load. */
export async function rightsNow(
  client: Client,
  { role, schema = "public" }: AppRole,
): Promise<AppRights> {
  const plan = await loadedPlan(client);
  if (plan) return appRights(client, role, plan);
  return found(client, role, false, (asked) => rightsOfALoad(asked, schema));
}

/** Of tables that were loaded: what the product would fail for. */
export async function appRights(
  client: Client,
  role: string,
  plan: MigrationPlan,
): Promise<AppRights> {
  return found(client, role, true, (asked) => rightsOfTables(asked, plan));
}

/** The plan of the tables that are there, whether or not the product lives in them by now. */
async function loadedPlan(client: Client): Promise<MigrationPlan | null> {
  const entry = await newestEntry(client);
  return entry === null || ["loading", "aborted"].includes(entry.phase) ? null : entry.plan;
}

async function found(
  client: Client,
  role: string,
  loaded: boolean,
  look: (asked: AskedRole) => Promise<Lack>,
): Promise<AppRights> {
  const { rows } = await client.query<{ oid: string }>(
    "SELECT oid FROM pg_roles WHERE rolname = $1",
    [role],
  );
  const [one] = rows;
  const about = { role, loaded, exists: one !== undefined };
  if (!one)
    return {
      ...about,
      ...{ lacking: [], sequences: [], grants: [`CREATE ROLE ${quoteName(role)} LOGIN`] },
    };
  const asked = { client, role, oid: one.oid };
  const database = await ofDatabase(asked);
  const rest = await look(asked);
  return {
    ...about,
    lacking: [...database.lacking, ...rest.lacking],
    sequences: rest.sequences,
    grants: [...database.grants, ...rest.grants],
  };
}

async function ofDatabase({ client, role, oid }: AskedRole): Promise<Omit<Lack, "sequences">> {
  const { rows } = await client.query<{ name: string; may: boolean }>(
    `SELECT datname AS name, has_database_privilege($1::oid, oid, 'CONNECT') AS may
       FROM pg_database WHERE datname = current_database()`,
    [oid],
  );
  const lacking = rows.filter(({ may }) => !may);
  return {
    lacking: lacking.map(({ name }) => `CONNECT to database ${name}`),
    grants: lacking.map(
      ({ name }) => `GRANT CONNECT ON DATABASE ${quoteName(name)} TO ${quoteName(role)}`,
    ),
  };
}
