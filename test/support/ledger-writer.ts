import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { TestCluster } from "./postgres.ts";

/** A commit that was answered, and the server's position then: no later one lies before it. */
export interface Acknowledged {
  readonly n: number;
  readonly lsn: string;
}

/** Commits numbers into table `ledger`, one after the other; it comes back by itself after the server was killed. */
export class LedgerWriter {
  readonly acknowledged: Acknowledged[] = [];
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  async write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const client = new pg.Client(this.#cluster.server.clientConfig("postgres", "app"));
      client.on("error", () => {});
      try {
        await client.connect();
        await this.#writeThrough(client, signal);
      } catch {
        await delay(100);
      } finally {
        await client.end().catch(() => {});
      }
    }
  }

  async #writeThrough(client: pg.Client, signal: AbortSignal): Promise<void> {
    // One whose answer was lost may be there.
    const { rows } = await client.query("select coalesce(max(n), 0) as n from ledger");
    for (let n = Number(rows[0].n) + 1; !signal.aborted; n++) {
      await client.query(`insert into ledger values (${n}, repeat('x', ${(n % 9) * 100}))`);
      const lsn = await client.query("select pg_current_wal_insert_lsn()::text as lsn");
      this.acknowledged.push({ n, lsn: lsn.rows[0].lsn });
      await delay(5);
    }
  }
}
