import type pg from "pg";
import { type Lsn, lsnOf } from "./lsn.ts";

/** The server's timeline and up to where its WAL is flushed. Since 16 the timeline comes as text. */
export async function identifySystem(
  client: pg.Client,
): Promise<{ timeline: number; position: Lsn }> {
  const { rows } = await client.query("IDENTIFY_SYSTEM");
  const { timeline, xlogpos } = rows[0] as { timeline: number | string; xlogpos: string };
  return { timeline: Number(timeline), position: lsnOf(xlogpos) };
}
