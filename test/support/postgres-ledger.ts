import { rm } from "node:fs/promises";
import { join } from "node:path";
import { list, type RecoveryTarget, type RecoveryWindow } from "@lifeboat/core";
import pg from "pg";
import { expect, vi } from "vitest";
import { PATIENCE } from "./patience.ts";
import { startCluster, type TestCluster } from "./postgres.ts";
import { archiveInto, type ClusterRepository, repositoryBeside } from "./postgres-repository.ts";

const never = new AbortController().signal;

/** A commit as it was acknowledged, with the server's own time of it in microseconds since 1970. */
export interface LedgerEntry {
  readonly n: number;
  readonly micros: number;
  /** The transaction that committed it, or its savepoint's. */
  readonly xid: string;
}

/** Which of seven commits one after the other, from 0 on, inserts its entry in a savepoint. */
const IN_SAVEPOINT = 3;
/** Savepoints of its transaction before that one: more than the first page of its commit record lists. */
export const SAVEPOINTS_BEFORE = 2_500;
/** As subtransactions of a block that catches what goes wrong in it, each with an id. */
const SAVEPOINTS = `do $$ begin for i in 1..${SAVEPOINTS_BEFORE} loop
  begin perform pg_logical_emit_message(true, 's', ''); exception when others then raise; end; end loop; end $$`;

/**
 * A cluster with a history: backups and commits in turn, archived by the server's own archiver. The
 * ledger knows what a recovery to any instant must hold.
 */
export class LedgerHistory {
  readonly cluster: TestCluster;
  readonly kept: ClusterRepository;
  readonly ledger: LedgerEntry[] = [];
  readonly backups: string[] = [];
  /** Of each restore point, `round 1` and so on, how many commits lay before it. */
  readonly points: number[] = [];
  /** After the last commit, and before the segment that holds it was archived. */
  quiet = new Date(0);
  readonly #client: pg.Client;

  private constructor(cluster: TestCluster, kept: ClusterRepository) {
    this.cluster = cluster;
    this.kept = kept;
    this.#client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
  }

  static async make(major: number): Promise<LedgerHistory> {
    const cluster = await startCluster({
      major,
      settings: {
        archive_mode: "on",
        track_commit_timestamp: "on",
        // What nobody asked for would fill segments behind the history's end.
        checkpoint_timeout: "1d",
      },
      initdb: ["--wal-segsize=1"],
    });
    const history = new LedgerHistory(cluster, await repositoryBeside(cluster));
    await archiveInto(cluster);
    await history.#client.connect();
    await history.#client.query("create table ledger(n int primary key, filler text)");
    for (const transport of ["wire", "auto", "auto"] as const) await history.#round(transport);
    const [clock] = await cluster.query<{ now: Date }>("select clock_timestamp() as now");
    history.quiet = clock?.now as Date;
    await history.archived();
    return history;
  }

  async stop(): Promise<void> {
    await this.#client.end();
    await this.cluster.stop();
  }

  get last(): LedgerEntry {
    return this.ledger.at(-1) as LedgerEntry;
  }

  /** How many commits a recovery to this instant must hold, to the microsecond. */
  upTo(at: Date): number {
    return this.ledger.filter(({ micros }) => micros <= at.getTime() * 1000).length;
  }

  async windows(): Promise<readonly RecoveryWindow[]> {
    const { repository, offline } = this.kept;
    return (await list({ repository, engines: [offline], live: null })).windows;
  }

  /** Recovers in private and says how many entries the copy holds, having proved that they are the first ones. */
  async entriesAt(target: RecoveryTarget): Promise<number> {
    const { folder, offline, repository } = this.kept;
    const to = join(this.cluster.directory, "copy");
    const report = () => {};
    const { manifests } = await repository.backups(folder);
    const plan = await offline.plan(folder, manifests, target, {});
    const restored = await offline.restore({
      ...{ folder, plan, to, report, signal: never },
      tablespaceMapping: new Map(),
      tablespaceRoot: null,
      force: false,
      fetchCommand: [],
    });
    try {
      const revived = await offline.revive({ folder, plan, restored, report, signal: never });
      const [row] = await revived.query("select count(*), coalesce(max(n), 0) from ledger");
      await revived.close();
      const [count, last] = (row ?? []).map(Number) as [number, number];
      expect(count).toBe(last);
      return count;
    } finally {
      await rm(to, { recursive: true });
    }
  }

  async #round(transport: "wire" | "auto"): Promise<void> {
    await this.#commits(30);
    this.backups.push((await this.kept.take({ transport })).id);
    // More than a segment, so that something lies behind the backup's own WAL.
    const ballast = "select pg_logical_emit_message(true, 'ballast', repeat('x', 2500000))";
    await this.#client.query(ballast);
    await this.#commits(10);
    // The same name in each round: the newest is meant.
    await this.#client.query("select pg_create_restore_point('before the change')");
    await this.#client.query(`select pg_create_restore_point('round ${this.backups.length}')`);
    this.points.push(this.ledger.length);
    await this.#commits(20, SAVEPOINTS);
  }

  /** @param first what the first transaction with a savepoint does before it */
  async #commits(count: number, first = ""): Promise<void> {
    for (let i = 0; i < count; i++) {
      const filler = i % 5 === 0 ? 1_900 : 1;
      const insert = `insert into ledger select coalesce(max(n), 0) + 1,
           (select string_agg(md5((i * random())::text), '') from generate_series(1, ${filler}) i)
         from ledger`;
      const inSavepoint = `begin; ${i === IN_SAVEPOINT ? first : ""}; savepoint s; ${insert}; release s; commit`;
      await this.#client.query(i % 7 === IN_SAVEPOINT ? inSavepoint : insert);
    }
    const { rows } = await this.#client.query<{ n: number; micros: string; xid: string }>(
      `select n, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::int8::text as micros,
         xmin::text as xid
       from ledger where n > $1 order by n`,
      [this.ledger.length],
    );
    for (const { n, micros, xid } of rows) this.ledger.push({ n, xid, micros: Number(micros) });
  }

  /** Waits until everything committed so far is in the repository. */
  async archived(): Promise<void> {
    const { rows } = await this.#client.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    await vi.waitFor(async () => {
      const query = "select last_archived_wal as last from pg_stat_archiver";
      const [archiver] = await this.cluster.query<{ last: string | null }>(query);
      expect((archiver?.last ?? "") >= (rows[0]?.name ?? "")).toBe(true);
    }, PATIENCE);
  }
}
