import { loadMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { atNotes } from "./at-notes.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

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

async function meddledCase(sql: string): Promise<MigrationCase> {
  const one = await migrationCase(cluster, sql);
  onTestFinished(() => one.end());
  const address = new URL(cluster.superuserUrl);
  address.pathname = new URL(one.url).pathname;
  const superuser = new pg.Client(address.href);
  await superuser.connect();
  await superuser.query(MEDDLING);
  await superuser.end();
  return one;
}

function request({ path, url }: MigrationCase) {
  const { signal } = new AbortController();
  return { sqlite: { path }, postgres: { url }, schema: "target", signal };
}

describe("a server that changes rows is found by the load's own comparison", () => {
  it("with the key of the row, and nothing is kept", async () => {
    const one = await meddledCase(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    );
    await expect(loadMigration(request(one))).rejects.toMatchObject({
      code: "LOAD_DIFFERS",
      message: expect.stringMatching(/table t differs .* in 1 rows \(.*2.*\)/),
    });
    expect(await one.query("select 1 from pg_namespace where nspname = 'target'")).toEqual([]);
  });

  it("in rows too that the product writes into a part of a table that was compared before", async () => {
    const one = await meddledCase(
      `PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
         INSERT INTO t SELECT i, 'row ' || i FROM n WHERE i <> 2`,
    );
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    const loading = loadMigration({
      ...request(one),
      live: true,
      run: atNotes(/rows compared$/, () =>
        product.exec("INSERT OR IGNORE INTO t VALUES (2, 'late')"),
      ),
    });
    await expect(loading).rejects.toMatchObject({ code: "NOT_APPLIED" });
    expect(await one.query("select 1 from pg_namespace where nspname = 'target'")).toEqual([]);
  });

  it.each([
    ["a number", "id INTEGER PRIMARY KEY, v TEXT", "i", 3_000],
    [
      "a number and a text",
      "id INTEGER, name TEXT, v TEXT, PRIMARY KEY (id, name)",
      "i, 'a, b'",
      3_000,
    ],
    ["nothing but the rowid", "id INTEGER, v TEXT", "i", 3_000],
    // So many that Postgres is not asked to sort them as SQLite does.
    ["a text", "id INTEGER, name TEXT PRIMARY KEY, v TEXT", "i, i || ' é'", 100_001],
  ])(
    "beside rows of the same part that the product has just written, told by %s",
    async (_, columns, key, rows) => {
      const one = await meddledCase(
        `PRAGMA journal_mode = WAL; CREATE TABLE t(${columns});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
           INSERT INTO t SELECT ${key}, 'row ' || i FROM n`,
      );
      const product = new Database(one.path);
      onTestFinished(() => void product.close());
      const loading = loadMigration({
        ...request(one),
        live: true,
        run: async (steps) => {
          for (const step of steps) {
            if (step.title === "compare both sides")
              product.exec(
                `UPDATE t SET v = 'late' WHERE id IN (1, 3, 2999); DELETE FROM t WHERE id = 4;
                 INSERT INTO t SELECT ${key}, 'late' FROM (SELECT 500000 AS i)`,
              );
            await step.run(() => undefined);
          }
        },
      });
      await expect(loading).rejects.toMatchObject({
        code: "LOAD_DIFFERS",
        message: expect.stringMatching(/ in 1 rows \(2\b/),
      });
    },
  );
});
