import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { TestCluster } from "./postgres.ts";

/** What a database of the crowd's is copied from. */
const TEMPLATE = "crowd_template";
/** How often the same is done with a name before the next one is taken. */
const NAMES = 4;

/** Between two turns: what they write has to come into the repository while they go on. */
const BREATH_MS = 100;

/** One that does the same again and again, on a connection of its own. */
type Member = (say: (sql: string) => Promise<pg.QueryResult>, turn: number) => Promise<void>;

/**
 * Sessions that do, all at once and without end, what moves, makes, cuts and removes a cluster's files: what a backup is
 * read beside in production, and a recovery has to make again. They come back by themselves after the server was killed.
 */
export class Crowd {
  readonly #cluster: TestCluster;
  readonly #stop = new AbortController();
  readonly #members: Promise<void>[];
  /** What was refused that the crowd itself does not explain, by its first words. */
  readonly refused = new Map<string, number>();

  private constructor(cluster: TestCluster) {
    this.#cluster = cluster;
    this.#members = MEMBERS.map(([database, member]) => this.#run(database, member));
  }

  /** What they work on, once for a cluster: it needs `allow_in_place_tablespaces` and `max_prepared_transactions`. */
  static async prepare(
    cluster: TestCluster,
    tablespaces: readonly [string, string],
  ): Promise<void> {
    const say = (sql: string, database?: string) => cluster.query(sql, database);
    await say(`create tablespace crowd_a location '${tablespaces[0]}'`);
    await say(`create tablespace crowd_b location '${tablespaces[1]}'`);
    await say(`create database ${TEMPLATE}`);
    await say(
      "create table had as select n, md5(n::text) from generate_series(1, 500) n",
      TEMPLATE,
    );
    await say("create table churn (n int, filler text)");
    await say("create table shared (n int primary key, holds int default 0)");
    await say("insert into shared select generate_series(1, 50)");
    await say("create table prepared (n int)");
    await say("create table moved as select n, repeat('m', 200) from generate_series(1, 2000) n");
    await say("create unlogged table passing (n int primary key)");
  }

  static start(cluster: TestCluster): Crowd {
    return new Crowd(cluster);
  }

  /** Resolves when none of them has anything under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#members);
  }

  async #run(database: string, member: Member): Promise<void> {
    const { signal } = this.#stop;
    for (let turn = 0; !signal.aborted; ) {
      const client = new pg.Client(this.#cluster.server.clientConfig("postgres", database));
      client.on("error", () => {});
      try {
        await client.connect();
        while (!signal.aborted) {
          await member((sql) => client.query(sql), turn++);
          await delay(BREATH_MS);
        }
      } catch (thrown) {
        if (thrown instanceof pg.DatabaseError) this.#note(thrown);
        turn++;
        await delay(100);
      } finally {
        await client.end().catch(() => {});
      }
    }
  }

  #note({ message }: Error): void {
    const words = message.replaceAll(/[\d"]+/g, "").slice(0, 60);
    this.refused.set(words, (this.refused.get(words) ?? 0) + 1);
  }
}

/** Copied file by file, moved to another tablespace, written to, dropped. */
const databases: Member = async (say, turn) => {
  const name = `crowd_${turn % NAMES}`;
  await say(`drop database if exists ${name} with (force)`);
  const strategy = turn % 2 === 0 ? "file_copy" : "wal_log";
  await say(`create database ${name} template ${TEMPLATE} strategy ${strategy}`);
  await say(`alter database ${name} set tablespace ${turn % 3 === 0 ? "crowd_a" : "pg_default"}`);
};

const tables: Member = async (say, turn) => {
  const name = `made_${turn % NAMES}`;
  await say(`drop table if exists ${name}`);
  await say(
    `create table ${name} as select n, md5(n::text) as text from generate_series(1, 3000) n`,
  );
  await say(`create index on ${name} (text)`);
  await say(`alter table ${name} set tablespace ${turn % 2 === 0 ? "crowd_a" : "crowd_b"}`);
  if (turn % 3 === 0) await say(`truncate ${name}`);
  await say(`insert into ${name} select n, 'again' from generate_series(1, 200) n`);
  await say(`vacuum full ${name}`);
};

/** Cut off at the end by VACUUM, and made longer again. */
const cutAndExtended: Member = async (say, turn) => {
  await say("insert into churn select n, repeat(md5(n::text), 20) from generate_series(1, 3000) n");
  await say(`update churn set filler = '${turn}' where n % 17 = 0`);
  await say(`delete from churn where ctid >= '(${(turn % 5) * 10},1)'`);
  await say("vacuum (truncate) churn");
};

const indexes: Member = async (say, turn) => {
  await say("drop index concurrently if exists churn_n");
  await say("create index concurrently churn_n on churn (n)");
  await say("reindex index concurrently churn_n");
  if (turn % 2 === 0) await say("reindex table churn");
};

/** Some are still prepared when the server is killed, and are ended by whoever comes next. */
const preparedOnes: Member = async (say, turn) => {
  const { rows } = await say("select gid from pg_prepared_xacts");
  for (const { gid } of rows.slice(0, 2))
    await say(`${turn % 3 === 0 ? "rollback" : "commit"} prepared '${gid}'`);
  await say("begin");
  await say(`insert into prepared values (${turn})`);
  await say("savepoint one");
  await say(`delete from prepared where n < ${turn - 50}`);
  await say(`prepare transaction 'crowd ${Date.now()} ${turn}'`);
};

const largeObjects: Member = async (say, turn) => {
  await say(`select lo_from_bytea(0, convert_to(repeat('${turn} ', 4000), 'UTF8'))`);
  await say(
    "select lo_unlink(oid) from (select oid from pg_largeobject_metadata order by oid limit 3 offset 8) as few",
  );
};

const unloggedOnes: Member = async (say, turn) => {
  await say(`insert into passing values (${turn}) on conflict do nothing`);
  await say("alter table passing set logged");
  await say(`insert into passing values (${-turn}) on conflict do nothing`);
  await say("alter table passing set unlogged");
};

const movedOne: Member = async (say, turn) => {
  await say(`alter table moved set tablespace ${["crowd_a", "pg_default", "crowd_b"][turn % 3]}`);
  await say(`update moved set n = n + 1 where n % 10 = ${turn % 10}`);
};

/** Rows locked by several at once, and by savepoints. */
const sharing: Member = async (say, turn) => {
  await say("begin");
  await say(`select from shared where n = ${(turn % 50) + 1} for key share`);
  await say("savepoint s");
  await say(`update shared set holds = holds + 1 where n = ${(turn % 50) + 1}`);
  await say(turn % 4 === 0 ? "rollback to s" : "release s");
  await say("commit");
};

const places: Member = async (say, turn) => {
  const name = `place_${turn % 2}`;
  await say(`drop table if exists in_${name}`);
  await say(`drop tablespace if exists ${name}`);
  await say(`set allow_in_place_tablespaces = on`);
  await say(`create tablespace ${name} location ''`);
  await say(`create table in_${name} tablespace ${name} as select generate_series(1, 800) n`);
};

const checkpoints: Member = async (say, turn) => {
  await say("select pg_switch_wal()");
  if (turn % 3 === 0) await say("checkpoint");
  await say("create temp table if not exists passing_by as select generate_series(1, 5000) n");
  await delay(300);
};

const MEMBERS: readonly (readonly [string, Member])[] = [
  ["postgres", databases],
  ["app", tables],
  ["app", cutAndExtended],
  ["app", indexes],
  ["app", preparedOnes],
  ["app", largeObjects],
  ["app", unloggedOnes],
  ["app", movedOne],
  ["app", sharing],
  ["app", sharing],
  ["app", places],
  ["app", checkpoints],
];
