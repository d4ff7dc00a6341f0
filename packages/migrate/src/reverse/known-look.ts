import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import type { ChangeReader } from "./change-reader.ts";
import type { Followed } from "./followed.ts";
import type { StoredAs } from "./stored-as.ts";

/** What Postgres knows of the file that follows it. */
export interface KnownLook {
  /** The batch up to which the file has its changes. */
  readonly batch: number;
  /** The mark of the last look, and of the one before it, after which the file may have been left behind. */
  readonly look: string | null;
  readonly look_before: string | null;
  /** How its tables were stored as the product moved there. */
  readonly stored: StoredAs | null;
}

interface KnownRow extends Omit<KnownLook, "batch"> {
  readonly batch: string;
}

/** Reads it. */
export async function knownLook(client: Client): Promise<KnownLook> {
  return knownOf(await knownRow(client));
}

/** The same, before it is written to: adds what an earlier version did not know. */
export async function preparedLook(client: Client): Promise<KnownLook> {
  const row = await knownRow(client);
  if (row && !("look" in row))
    await client.query(
      "ALTER TABLE lifeboat.followed ADD look text, ADD look_before text, ADD stored json",
    );
  return knownOf(row);
}

async function knownRow(client: Client): Promise<KnownRow | undefined> {
  const { rows } = await client.query<{ known: KnownRow }>(
    "SELECT to_json(f) AS known FROM lifeboat.followed AS f",
  );
  return rows[0]?.known;
}

function knownOf(row: Partial<KnownRow> | undefined): KnownLook {
  const { batch = 0, look = null, look_before = null, stored = null } = row ?? {};
  return { batch: Number(batch), look, look_before, stored };
}

/**
 * @throws LifeboatError `SQLITE_REPLACED`: an older copy of the file lacks changes that Postgres has forgotten; `POSTGRES_SET_BACK`: Postgres does not
 * know the look that the file holds, and gives its numbers of transactions once more, so that new ones would pass for known
 */
export function assertOneHistory(known: KnownLook, followed: Followed): void {
  if (followed.batch < known.batch)
    throw new LifeboatError({
      code: "SQLITE_REPLACED",
      kind: "refused",
      message: `the SQLite database holds batch ${followed.batch} of Postgres' changes, and batch ${known.batch} was followed already: it is an older copy of the file`,
      remedy:
        "bring back the file that was followed, or let this one be written anew from Postgres, table by table: lifeboat migrate sync --anew",
    });
  if (followed.look === null || [known.look, known.look_before].includes(followed.look)) return;
  throw setBack(
    followed,
    "which this Postgres does not know: it was restored to an earlier state, or failed over to a server that lacked its last commits",
  );
}

/**
 * A dump brings the log and the marks of its looks to a server that counts its transactions otherwise: what is written there would pass for
 * known, or what is known for new at every look.
 * @throws LifeboatError `POSTGRES_SET_BACK`
 */
export async function assertOneServer(
  reader: Pick<ChangeReader, "snapshot" | "hasForeign">,
  followed: Followed,
): Promise<void> {
  const isBefore = nextOf(reader.snapshot) < nextOf(followed.snapshot);
  if (!isBefore && !(await reader.hasForeign())) return;
  throw setBack(
    followed,
    "and this Postgres counts its transactions otherwise: it was restored from a dump",
  );
}

/** The first number that no transaction of a snapshot bore yet (manual, "pg_snapshot Components"). */
function nextOf(snapshot: string): bigint {
  return BigInt(snapshot.split(":")[1] ?? 0);
}

function setBack({ batch }: Followed, why: string): LifeboatError {
  return new LifeboatError({
    code: "POSTGRES_SET_BACK",
    kind: "refused",
    message: `the SQLite database holds batch ${batch} of Postgres' changes, ${why}`,
    remedy:
      "nothing was changed on either side; keep a copy of the SQLite file, which holds what Postgres lost. Then lifeboat migrate sync --anew writes SQLite anew from Postgres as it is now; or, where the product stays in Postgres, lifeboat migrate finish --without-sqlite gives the way back up",
    details: { batch },
  });
}
