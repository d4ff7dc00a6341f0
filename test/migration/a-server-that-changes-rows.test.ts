import { loadMigration } from "@lifeboat/migrate";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

/** Gives every new table a trigger that changes some of its rows, as an audit extension might. */
const MEDDLING = `
  create function public.meddle() returns trigger language plpgsql as $$
    begin if new.id = 2 then new.v := 'changed'; end if; return new; end $$;
  create function public.meddle_everywhere() returns event_trigger language plpgsql security definer as $$
    declare made record;
    begin
      for made in select * from pg_event_trigger_ddl_commands() where schema_name = 'target' and object_type = 'table' loop
        execute format('create trigger meddling before insert on %s
          for each row execute function public.meddle()', made.object_identity);
      end loop;
    end $$;
  create event trigger meddling on ddl_command_end when tag in ('CREATE TABLE')
    execute function public.meddle_everywhere()`;

test("is found by the load's own comparison, with the key of the row, and nothing is kept", async () => {
  const one = await migrationCase(
    cluster,
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
  );
  const address = new URL(cluster.superuserUrl);
  address.pathname = new URL(one.url).pathname;
  const superuser = new pg.Client(address.href);
  await superuser.connect();
  await superuser.query(MEDDLING);
  await superuser.end();
  await expect(
    loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      schema: "target",
      signal: new AbortController().signal,
    }),
  ).rejects.toMatchObject({
    code: "LOAD_DIFFERS",
    message: expect.stringMatching(/table t differs .* in 1 rows \(.*2.*\)/),
  });
  expect(await one.query("select 1 from pg_namespace where nspname = 'target'")).toEqual([]);
  await one.end();
});
