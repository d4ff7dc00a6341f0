import type pg from "pg";
import { connect, hangUp, type ServerConnection } from "../connection/connection.ts";

/**
 * Bytes a second below which a server's compressing is worth what it costs the server
 * (`.github/decisions/0047-the-server-compresses-for-slow-links.md`).
 */
const SLOW = 40 << 20;
const SAMPLE_BYTES = 1 << 19;
/** A sample may be held up by anything; a slow link holds them all up. The first finds the connection cold. */
const SAMPLES = 5;

/**
 * Whether the way to the server is slow: a few samples are fetched, until one is not. What a round trip
 * takes is left out of it. A fast way costs some milliseconds.
 */
export async function isSlowLink(
  connection: ServerConnection,
  signal: AbortSignal,
): Promise<boolean> {
  const client = await connect(connection);
  const stop = () => hangUp(client);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    let roundTrip = Number.POSITIVE_INFINITY;
    for (let sample = 0; sample < SAMPLES; sample++) {
      // The shortest yet: what held up one of them would make the answer look quick that comes next.
      roundTrip = Math.min(roundTrip, await secondsFor(client, 0));
      const seconds = (await secondsFor(client, SAMPLE_BYTES)) - roundTrip;
      if (seconds * SLOW <= SAMPLE_BYTES && sample > 0) return false;
    }
    return true;
  } finally {
    signal.removeEventListener("abort", stop);
    hangUp(client);
  }
}

async function secondsFor(client: pg.Client, bytes: number): Promise<number> {
  const began = performance.now();
  await client.query("select repeat(md5(random()::text), $1)", [bytes / 32]);
  return (performance.now() - began) / 1000;
}
