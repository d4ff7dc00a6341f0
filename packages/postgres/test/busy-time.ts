import pg from "pg";
import { type TestCluster, tablespaceFolder } from "../../../test/support/postgres.ts";

/** The transaction ids of those that were prepared, by name. */
export type Prepared = Readonly<Record<"kept" | "given up", number>>;

/** Commits of all kinds, aborts, records larger than a page and than a segment, a restore point. */
export async function busyTime(cluster: TestCluster): Promise<Prepared> {
  const client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
  await client.connect();
  await client.query("create table t(n int, wide text)");
  for (let n = 0; n < 40; n++) {
    const wide = `(select string_agg(md5((${n} * i)::text), '') from generate_series(1, 2000) i)`;
    await client.query(`insert into t values (${n}, ${wide})`);
    if (n % 8 === 0) await client.query("checkpoint");
  }
  await client.query("select pg_logical_emit_message(true, 'lifeboat', repeat('x', 3000000))");
  await client.query("begin; insert into t values (-1, 'away'); rollback");
  // Its commit record lists a subtransaction, files to remove, statistics and invalidations before its id.
  await client.query("create table goes(n int primary key); create table stays(n int)");
  await client.query("begin; insert into t values (-2, 'two-phase'); drop table goes");
  // So many that the list goes over pages.
  await client.query(`do $$ begin for i in 1..5000 loop
    begin perform pg_logical_emit_message(true, 's', ''); exception when others then raise; end; end loop; end $$`);
  await client.query("savepoint a; alter table stays add m int; release a; select 1");
  const kept = await prepare(client, "kept");
  await client.query("begin; insert into t values (-3, 'two-phase')");
  const givenUp = await prepare(client, "given up");
  await client.query("commit prepared 'kept'");
  await client.query("rollback prepared 'given up'");
  await client.query("select pg_create_restore_point('before the storm')");
  await client.query(
    `create tablespace aside location '${await tablespaceFolder(cluster, "aside")}'`,
  );
  await client.query("drop tablespace aside");
  await client.query(
    "begin; savepoint a; insert into t values (1, 'x'); release a; savepoint b; insert into t values (2, 'y'); commit",
  );
  await client.end();
  return { kept, "given up": givenUp };
}

async function prepare(client: pg.Client, name: string): Promise<number> {
  const { rows } = await client.query<{ xid: string }>("select pg_current_xact_id()::text as xid");
  await client.query(`prepare transaction '${name}'`);
  return Number(rows[0]?.xid);
}
