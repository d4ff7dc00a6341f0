import { LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { identifySystem } from "./identify-system.ts";
import { type Lsn, lsnOf } from "./lsn.ts";

/** What the server lets a slot be called. */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/;

/** @throws LifeboatError `SLOT_NAME_INVALID` (kind `usage`) */
export function assertSlotName(name: string): void {
  if (SLOT_NAME.test(name)) return;
  throw new LifeboatError({
    code: "SLOT_NAME_INVALID",
    kind: "usage",
    message: `"${name}" is no name for a replication slot`,
    remedy: "use at most 63 lower-case letters, digits and underscores",
  });
}

/**
 * Makes a physical slot that stays, if it is not there yet, and says from where the server keeps WAL
 * for it.
 * @param client a WAL sender
 * @throws LifeboatError `SLOT_UNUSABLE` when it is a logical one
 */
export async function ensureSlot(client: pg.Client, name: string): Promise<Lsn> {
  let slot = await readSlot(client, name);
  if (!slot) {
    await client.query(`CREATE_REPLICATION_SLOT "${name}" PHYSICAL RESERVE_WAL`);
    slot = await readSlot(client, name);
  }
  if (slot?.restart_lsn) return lsnOf(slot.restart_lsn);
  // One that was made without a reservation, and never used.
  return (await identifySystem(client)).position;
}

interface SlotRow {
  readonly slot_type: string | null;
  readonly restart_lsn: string | null;
}

async function readSlot(client: pg.Client, name: string): Promise<SlotRow | undefined> {
  const { rows } = await client
    .query<SlotRow>(`READ_REPLICATION_SLOT "${name}"`)
    .catch((cause: unknown) => {
      if (isOfOtherKind(cause)) throw logicalSlot(name, cause);
      throw cause;
    });
  return rows[0]?.slot_type ? rows[0] : undefined;
}

/** `READ_REPLICATION_SLOT` itself refuses a logical one, and nothing else, in words of the server's language. */
function isOfOtherKind(cause: unknown): boolean {
  return cause instanceof pg.DatabaseError && cause.routine === "ReadReplicationSlot";
}

function logicalSlot(name: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "SLOT_UNUSABLE",
    kind: "refused",
    message: `replication slot ${name} is a logical one, and WAL is streamed through physical ones`,
    remedy: "name another by --slot",
    details: { slot: name },
    cause,
  });
}
