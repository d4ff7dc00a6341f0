import pg from "pg";
import type { TestCluster } from "./postgres.ts";

/**
 * Fills database `app` with one of everything that a logical dump has to carry, owned by role `lifeboat` or by a role
 * with an odd name.
 */
export async function fillAssortment(cluster: TestCluster): Promise<void> {
  const say = (sql: string) => cluster.query(sql);
  await say("create extension pg_trgm");
  await say("create extension hstore schema public");
  await say('create role "odd owner"');
  await say("create schema sales authorization lifeboat");
  await say('create schema "Odd.Schema" authorization "odd owner"');
  await say("create type sales.state as enum ('new', 'paid')");
  await say("create domain sales.amount as numeric(12, 2) check (value >= 0)");
  await say(`create table sales.orders (
    id bigint generated always as identity primary key, state sales.state not null default 'new',
    amount sales.amount, doubled numeric generated always as (amount * 2) stored,
    what text, tags hstore, data jsonb, raw bytea, at timestamptz, ratio float8)`);
  await say("alter table sales.orders owner to lifeboat");
  await say(`insert into sales.orders (state, amount, what, tags, data, raw, at, ratio)
    select case when n % 3 = 0 then 'paid' else 'new' end::sales.state, n * 1.25,
           'order ' || n || E' \\\\ \\t\\n ü€😀', hstore('n', n::text), jsonb_build_object('n', n, 's', 'a"b'),
           decode(md5(n::text), 'hex'), timestamptz '2026-01-01 00:00:00.123456+00' + n * interval '1 second',
           case n % 4 when 0 then 'NaN'::float8 when 1 then 'Infinity'::float8 else n / 3.0 end
    from generate_series(1, 5000) n`);
  await say("create index on sales.orders using gin (what gin_trgm_ops)");
  await say(
    'create table "Odd.Schema"."Tab""le" (id serial primary key, "order" bigint references sales.orders)',
  );
  await say('alter table "Odd.Schema"."Tab""le" owner to "odd owner"');
  await say('insert into "Odd.Schema"."Tab""le" ("order") select n from generate_series(1, 700) n');
  await say("create table events (at date, n int) partition by range (at)");
  await say(
    "create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01')",
  );
  await say("create table events_2 partition of events default");
  await say("insert into events select date '2026-01-20' + n, n from generate_series(1, 100) n");
  await say("create view sales.paid as select id, amount from sales.orders where state = 'paid'");
  await say("create materialized view sales.totals as select sum(amount) as total from sales.paid");
  await say("create sequence sales.numbers start 41 increment 7");
  await say("select nextval('sales.numbers'), nextval('sales.numbers')");
  await say("create table empty_one ()");
  await say("grant select on sales.orders to pg_monitor");
  await say("select lo_from_bytea(4711, convert_to(repeat('large object ', 5000), 'UTF8'))");
  await say("alter large object 4711 owner to lifeboat");
}

export interface Picture {
  /** Each table with its rows' number and checksum. */
  readonly tables: Readonly<Record<string, string>>;
  /** Each sequence with what it gives next. */
  readonly sequences: Readonly<Record<string, string>>;
  readonly largeObjects: Readonly<Record<string, string>>;
  readonly owners: Readonly<Record<string, string>>;
}

/** What a database holds, in a form that two of them can be compared by. */
export async function pictureOf(url: string): Promise<Picture> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set timezone = 'UTC'");
    const ask = async (sql: string) =>
      Object.fromEntries((await client.query({ text: sql, rowMode: "array" })).rows);
    const own = "nspname !~ '^pg_' and nspname <> 'information_schema'";
    const names = Object.keys(
      await ask(`select format('%I.%I', nspname, relname), relkind from pg_class c
        join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'm') and ${own} order by 1`),
    );
    const tables: Record<string, string> = {};
    for (const name of names)
      Object.assign(
        tables,
        await ask(
          `select '${name.replaceAll("'", "''")}', count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from ${name} t`,
        ),
      );
    return {
      tables,
      sequences: await ask(
        "select schemaname || '.' || sequencename, last_value || '+' || increment_by from pg_sequences",
      ),
      largeObjects: await ask(
        "select oid::text, md5(lo_get(oid)) || pg_get_userbyid(lomowner) from pg_largeobject_metadata",
      ),
      owners: await ask(`select format('%I.%I', nspname, relname), pg_get_userbyid(relowner)
        from pg_class c join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'v', 'S') and ${own}`),
    };
  } finally {
    await client.end();
  }
}
