import { setTimeout as delay } from "node:timers/promises";
import { reasonOf } from "@lifeboat/core";
import { receiveWal } from "@lifeboat/postgres";
import type { TestCluster } from "./postgres.ts";
import { archiveInto, type ClusterRepository } from "./postgres-repository.ts";

const PATIENCE_MS = 600_000;

/** How the WAL of a cluster comes into its repository: by a receiver of this process, or by the server's archiver. */
export class WalArrival {
  readonly #cluster: TestCluster;
  readonly #receiver = new AbortController();
  #receiving: Promise<unknown> | undefined;
  #durable = 0n;

  private constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  static async start(
    cluster: TestCluster,
    { folder }: ClusterRepository,
    by: { readonly streams: boolean; onFault(what: string): void },
  ): Promise<WalArrival> {
    const arrival = new WalArrival(cluster);
    if (!by.streams) {
      await archiveInto(cluster);
      return arrival;
    }
    arrival.#receiving = receiveWal({
      ...{ connection: { url: cluster.superuserUrl }, folder, report: () => {} },
      onDurable: (position) => {
        arrival.#durable = position;
      },
      onHole: (message) => by.onFault(message),
      signal: arrival.#receiver.signal,
    }).catch((thrown: unknown) => by.onFault(`the receiver ended: ${reasonOf(thrown)}`));
    return arrival;
  }

  /** All that is committed now is in the repository. */
  async all(): Promise<void> {
    const [end] = await this.#cluster.query<{ name: string; lsn: string }>(
      "select pg_walfile_name(lsn) as name, pg_wal_lsn_diff(lsn, '0/0')::text as lsn from pg_switch_wal() lsn",
    );
    let before = "";
    for (let patience = Date.now() + PATIENCE_MS; ; ) {
      const last = await this.#last();
      const isThere = this.#receiving
        ? this.#durable >= BigInt(end?.lsn ?? 0)
        : last >= (end?.name ?? "");
      if (isThere) return;
      if (last !== before) patience = Date.now() + PATIENCE_MS;
      if (Date.now() > patience) throw new Error(`the archive stands at ${last}`);
      before = last;
      await delay(100);
    }
  }

  async stop(): Promise<void> {
    this.#receiver.abort();
    await this.#receiving;
  }

  async #last(): Promise<string> {
    if (this.#receiving) return String(this.#durable);
    const [row] = await this.#cluster.query<{ last: string }>(
      "select coalesce(last_archived_wal, '') as last from pg_stat_archiver",
    );
    return row?.last ?? "";
  }
}
