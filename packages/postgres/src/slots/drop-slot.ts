import { LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { readSlots, type SlotState } from "./slots.ts";

/** The slots of a live server, by name. */
export async function listSlots(connection: ServerConnection): Promise<readonly SlotState[]> {
  return withClient(connection, readSlots);
}

const OBJECT_IN_USE = "55006";
const UNDEFINED_OBJECT = "42704";

/**
 * Drops one slot, whoever made it: it was named. One that is streamed through is left alone.
 * @returns those that are left
 * @throws LifeboatError `SLOT_ACTIVE`, `SLOT_SYNCED` (kind `refused`), `SLOT_NOT_FOUND` (kind `not-found`)
 */
export async function dropSlot(
  connection: ServerConnection,
  name: string,
): Promise<readonly SlotState[]> {
  return withClient(connection, async (client) => {
    const slots = await readSlots(client);
    const slot = slots.find((each) => each.name === name);
    if (!slot) throw unknown(name, slots);
    if (slot.synced) throw synced(name);
    if (slot.active) throw active(name, slot.owner);
    try {
      await client.query("select pg_drop_replication_slot($1)", [name]);
    } catch (thrown) {
      // Between our look and the drop somebody came for it, or dropped it.
      const code = thrown instanceof pg.DatabaseError ? thrown.code : undefined;
      if (code === OBJECT_IN_USE) throw active(name, null);
      if (code !== UNDEFINED_OBJECT) throw thrown;
    }
    return readSlots(client);
  });
}

function active(name: string, owner: string | null): LifeboatError {
  return new LifeboatError({
    code: "SLOT_ACTIVE",
    kind: "refused",
    message: `replication slot ${name} is in use${owner === null ? "" : ` by ${owner}`}`,
    remedy: "stop whatever streams through it first (select * from pg_stat_replication)",
    details: { slot: name },
  });
}

function synced(name: string): LifeboatError {
  return new LifeboatError({
    code: "SLOT_SYNCED",
    kind: "refused",
    message: `replication slot ${name} of this standby is kept in step with its primary's: the server drops it by itself once the primary's is gone`,
    remedy: `if nothing needs it any more, on the primary: select pg_drop_replication_slot('${name}')`,
    details: { slot: name },
  });
}

function unknown(name: string, slots: readonly SlotState[]): LifeboatError {
  const names = slots.map((slot) => slot.name);
  return new LifeboatError({
    code: "SLOT_NOT_FOUND",
    kind: "not-found",
    message: `there is no replication slot ${name}`,
    remedy: names.length === 0 ? "there are none" : `there are ${names.join(", ")}`,
    details: { slot: name, slots: names },
  });
}
