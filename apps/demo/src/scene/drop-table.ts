import { type Fingerprint, fingerprint } from "../fingerprint.ts";
import type { MovedProduct } from "../moved-product.ts";
import { commandLine, heading, line } from "../narration.ts";
import { openDatabase } from "../open-database.ts";
import type { Show } from "../show.ts";
import { archivedUpToNow } from "../wait-for-archive.ts";

/** What was lost, and the instant before. */
export interface Mistake {
  readonly table: string;
  /** ISO 8601 UTC with milliseconds: the table stood for the last time. */
  readonly instantBefore: string;
  readonly lost: Fingerprint;
}

/** Drops a table on the wrong database. The product falls over. */
export async function dropTable(
  show: Show,
  { server, traffic }: MovedProduct,
  table: string,
): Promise<Mistake> {
  heading("Then somebody is in the wrong window");
  commandLine(["psql", "-c", `DROP TABLE ${table} CASCADE`]);
  const mistake = await drop(server, table);
  line(`${mistake.lost.rows} rows of ${table} are gone, since just after ${mistake.instantBefore}`);
  line(`the product stops: ${(await traffic.lastWords()).trim()}`);
  await archivedUpToNow(show, server);
  return mistake;
}

/** Notes what the table held in the very transaction that drops it, while nobody else can write. */
async function drop(server: MovedProduct["server"], table: string): Promise<Mistake> {
  const session = await openDatabase(server);
  try {
    return await session.transaction(async () => {
      // In the order in which the product takes them: the foreign key's table is locked by DROP too.
      await session.run(`LOCK TABLE users, ${table} IN ACCESS EXCLUSIVE MODE`);
      const lost = await fingerprint(session, table);
      // Targets are in milliseconds: whatever was committed before the lock is an older one.
      await session.all("SELECT pg_sleep(0.01)");
      const [now] = await session.all(
        `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`,
      );
      await session.run(`DROP TABLE ${table} CASCADE`);
      return { table, instantBefore: String(now?.now), lost };
    });
  } finally {
    await session.close();
  }
}
