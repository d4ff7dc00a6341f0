import { acknowledge } from "./ledger.ts";
import { atRate } from "./loop.ts";
import { trafficOptions } from "./options.ts";
import { openPostgres } from "./postgres-session.ts";
import { Random } from "./random.ts";
import type { Session } from "./session.ts";
import { openSqlite } from "./sqlite-session.ts";

/** One transaction of a product; gives the id of the row it added to the activity table. */
export type Transaction = () => Promise<number>;

/** Reads what the product needs to go on from, and gives what it does over and over. */
export type Traffic = (session: Session, random: Random) => Promise<Transaction>;

/**
 * A traffic program's whole life: opens the database, runs the product's transactions at the rate
 * asked for, prints a ledger line a commit, and ends between two of them on SIGTERM or SIGINT. What
 * goes wrong (the database refuses writes after a cutover …) is said on stderr, with exit status 1.
 */
export async function runTraffic(traffic: Traffic): Promise<void> {
  try {
    await write(traffic);
  } catch (thrown) {
    process.stderr.write(`traffic: ${thrown instanceof Error ? thrown.message : thrown}\n`);
    process.exitCode = 1;
  }
}

async function write(traffic: Traffic): Promise<void> {
  const options = trafficOptions(process.argv.slice(2));
  const session =
    "url" in options.target
      ? await openPostgres(options.target.url)
      : openSqlite(options.target.database);
  try {
    const transaction = await traffic(session, new Random(options.seed));
    await atRate(options, stopSignal(), async () => acknowledge(await transaction()));
  } finally {
    await session.close();
  }
}

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  // Nobody reads the ledger any more: an acknowledgement that nobody hears is none.
  process.stdout.once("error", stop);
  return controller.signal;
}
