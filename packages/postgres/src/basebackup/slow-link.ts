import type pg from "pg";
import { connect, hangUp, type ServerConnection } from "../connection.ts";

/**
 * Bytes a second below which a server's compressing is worth what it costs the server
 * (`.github/decisions/0044-the-server-compresses-for-slow-links.md`).
 */
const SLOW = 40 << 20;
const SAMPLE_BYTES = 1 << 19;
/** A sample may be held up by anything; a slow link holds them all up. */
const SAMPLES = 4;

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
    for (let sample = 0; sample < SAMPLES; sample++)
      if ((await bytesPerSecond(client)) >= SLOW) return false;
    return true;
  } finally {
    signal.removeEventListener("abort", stop);
    hangUp(client);
  }
}

async function bytesPerSecond(client: pg.Client): Promise<number> {
  const roundTrip = await secondsFor(client, 0);
  const all = await secondsFor(client, SAMPLE_BYTES);
  return SAMPLE_BYTES / Math.max(all - roundTrip, Number.EPSILON);
}

async function secondsFor(client: pg.Client, bytes: number): Promise<number> {
  const began = performance.now();
  await client.query("select repeat(md5(random()::text), $1)", [bytes / 32]);
  return (performance.now() - began) / 1000;
}
