import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { release } from "@lifeboat/core";
import type { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";

/**
 * Far more than a socket takes before it asks to wait: once that wait is over, nothing of such a chunk is still to be written.
 */
const SURELY_WAITED_FOR_BYTES = 1024 * 1024;

/**
 * Sends chunks through one COPY … FROM STDIN. Takes over their memory.
 * @returns the number of rows that Postgres took, once it has taken them
 * @throws the server's error, that of the connection, or whatever `chunks` throws; the COPY is over then
 */
export async function sendCopy(
  client: Client,
  sql: string,
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<number> {
  const stream = client.query(copyFrom(sql));
  let broken = false;
  // Heard to the end: a second error, of the COPY that we broke off ourselves, must find a listener.
  const failed = new Promise<never>((_, reject) => {
    stream.on("error", (cause) => {
      broken = true;
      reject(cause);
    });
  });
  // It is raced against each chunk; between two of them a failure is not an unhandled one.
  failed.catch(() => undefined);
  const finished = new Promise<void>((resolve) => stream.once("finish", () => resolve()));
  try {
    for await (const chunk of chunks) {
      const isTaken = stream.write(chunk);
      await Promise.race([isTaken ? nextTurn() : once(stream, "drain"), failed]);
      // Values of 16 MB would else wait for the garbage collector.
      if (!isTaken && chunk.length >= SURELY_WAITED_FOR_BYTES) release(chunk);
    }
    stream.end();
    await Promise.race([finished, failed]);
    return stream.rowCount;
  } catch (cause) {
    if (!broken) await breakOff(stream);
    throw cause;
  }
}

/** Ends the COPY on the server too; without its answer the connection could do nothing else. */
async function breakOff(stream: ReturnType<typeof copyFrom>): Promise<void> {
  const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  stream.destroy(new Error("lifeboat broke off the copy"));
  await closed;
}
