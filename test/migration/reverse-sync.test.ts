import {
  finishMigration,
  followReverse,
  type PlannedTable,
  rollbackMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ChangeReader } from "../../packages/migrate/src/reverse/change-reader.ts";
import { FROM_THE_START } from "../../packages/migrate/src/reverse/followed.ts";
import { FrozenFile } from "../../packages/migrate/src/reverse/frozen-file.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

let cluster: TestCluster;
let one: ReverseCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(() => one.end());

const SHOP = `
  CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, paid BOOLEAN, at DATETIME,
    age INTEGER CHECK (age < 200), upper_email TEXT AS (upper(email)) STORED);
  CREATE TABLE tags(user_id INTEGER REFERENCES users ON DELETE CASCADE, tag TEXT, PRIMARY KEY (user_id, tag)) WITHOUT ROWID;
  CREATE TABLE codes(code TEXT PRIMARY KEY, body BLOB);
  CREATE TABLE notes(body TEXT, weight REAL);
  INSERT INTO users(email, paid, at, age) VALUES ('a', 1, '2024-01-02T03:04:05.678Z', 1), ('b', 0, '2024-01-02T03:04:05.000Z', 2), ('c', NULL, NULL, 3);
  INSERT INTO tags VALUES (1, 'x'), (1, 'y'), (2, 'x');
  INSERT INTO codes VALUES ('k1', x'00ff'), ('k2', x''), ('k3', NULL);
  DELETE FROM codes WHERE code = 'k1';
  INSERT INTO codes VALUES ('k1', x'00ff');
  INSERT INTO notes VALUES ('same', 1.5), ('same', 1.5), ('other', NULL);`;

function rows(sql: string): unknown[] {
  const db = new Database(one.path, { readonly: true });
  try {
    return db.prepare(sql).raw().all();
  } finally {
    db.close();
  }
}

describe("what is written in Postgres after the cutover comes back to SQLite", () => {
  it("each of several equal rows that came or went at once, in a table without a key", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const client = await one.client();
    await client.query(
      "DELETE FROM notes WHERE body = 'same'; INSERT INTO notes SELECT 'new', 2.5 FROM generate_series(1, 3)",
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT body, count(*) FROM notes GROUP BY body ORDER BY body")).toEqual([
      ["new", 3],
      ["other", 1],
    ]);
  });

  it("whatever the statement: upsert, key change, swapped unique values, cascade, copies of one row, TRUNCATE", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const client = await one.client();
    const statements = [
      "INSERT INTO users(email, paid, at, age) VALUES ('d', true, '2025-01-01T00:00:00.001Z', 4)",
      "INSERT INTO users(id, email) VALUES (2, 'z') ON CONFLICT (id) DO UPDATE SET email = 'bb'",
      "UPDATE users SET email = 'tmp' WHERE id = 1; UPDATE users SET email = 'a' WHERE id = 2; UPDATE users SET email = 'bb' WHERE id = 1",
      "UPDATE codes SET code = 'k9' WHERE code = 'k1'",
      "UPDATE codes SET body = '\\x6100' WHERE code = 'k2'",
      "DELETE FROM users WHERE id = 1",
      "INSERT INTO notes VALUES ('same', 1.5); DELETE FROM notes WHERE ctid = (SELECT min(ctid) FROM notes WHERE body = 'same')",
      "DELETE FROM notes WHERE body = 'same' AND ctid = (SELECT max(ctid) FROM notes WHERE body = 'same'); UPDATE notes SET weight = '-Infinity' WHERE body = 'other'",
      "TRUNCATE notes; INSERT INTO notes VALUES ('fresh', 2), ('fresh', 2)",
      "TRUNCATE users CASCADE; INSERT INTO users(email) VALUES ('new')",
      // No trigger fires for these.
      "ALTER TABLE notes ALTER weight TYPE double precision USING weight * 3",
      "ALTER TABLE codes DROP body; ALTER TABLE codes ADD body bytea; INSERT INTO codes VALUES ('k4', '')",
    ];
    for (const statement of statements) {
      await client.query(statement);
      expect(await one.differencesAfterFollowing(), statement).toEqual([]);
    }
    expect(await one.query("SELECT count(*)::int AS left FROM lifeboat.changes")).toEqual([
      { left: 0 },
    ]);
  });

  it("only once all that a look saw is durable in Postgres: what a crash of the server takes back never stays in SQLite", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    await one.query("INSERT INTO notes VALUES ('first')");
    const { commit } = FrozenFile.prototype;
    const looks: unknown[] = [];
    using spied = vi.spyOn(FrozenFile.prototype, "commit");
    spied.mockImplementation(function (this: FrozenFile, followed) {
      looks.push(followed.look);
      return commit.call(this, followed);
    });
    const client = await one.client();
    const query = pg.Client.prototype.query;
    using asked = vi.spyOn(pg.Client.prototype, "query");
    const order: string[] = [];
    asked.mockImplementation(function (this: pg.Client, ...args: unknown[]) {
      if (args[0] === "COMMIT") order.push(`Postgres beside ${looks.length} of SQLite`);
      return query.apply(this, args as never);
    } as never);
    await one.follow();
    expect(order[0]).toBe("Postgres beside 0 of SQLite");
    expect(looks).toHaveLength(1);
    const { rows: known } = await client.query("SELECT look FROM lifeboat.followed");
    expect(known).toEqual([{ look: looks[0] }]);
  });

  it("from transactions that commit late, in any order, and not from those that roll back", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const [slow, fast, lost] = [await one.client(), await one.client(), await one.client()];
    await slow.query(
      "BEGIN; INSERT INTO users(id, email) VALUES (100, 'slow'); INSERT INTO notes VALUES ('slow')",
    );
    await lost.query("BEGIN; INSERT INTO users(id, email) VALUES (101, 'lost'); TRUNCATE codes");
    await lost.query("ROLLBACK");
    await fast.query(
      "INSERT INTO users(id, email) VALUES (102, 'fast'); INSERT INTO notes VALUES ('fast')",
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT id FROM users WHERE id >= 100")).toEqual([[102]]);
    await slow.query("COMMIT");
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT id FROM users WHERE id >= 100")).toEqual([[100], [102]]);
    expect(rows("SELECT count(*) FROM notes WHERE body IN ('slow', 'fast')")).toEqual([[2]]);
  });

  it("written by a role without any right on Lifeboat's schema, with settings of its own, or as a replica", async () => {
    one = await reverseCase(
      cluster,
      SHOP.replace("code TEXT", "code BLOB").replaceAll("'k", "x'a"),
    );
    await one.cutOver();
    const client = await one.client();
    await client.query(
      "GRANT USAGE ON SCHEMA public TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC",
    );
    const database = new URL(one.url).pathname.slice(1);
    await cluster.query(
      `DROP ROLE IF EXISTS shop_app; CREATE ROLE shop_app;
       SET ROLE shop_app; SET search_path = pg_temp; SET bytea_output = 'escape'; SET timezone = 'Asia/Tokyo'; SET datestyle = 'German';
       INSERT INTO public.codes VALUES ('\\x00ff5c'); UPDATE public.users SET at = '2030-01-01T00:00:00Z' WHERE id = 1; INSERT INTO public.notes VALUES ('by app', 0.1);
       RESET ROLE; SET session_replication_role = replica; INSERT INTO public.users(email) VALUES ('as replica')`,
      database,
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT 1 FROM users WHERE email = 'as replica'")).toEqual([[1]]);
    await cluster.query("DROP OWNED BY shop_app; DROP ROLE shop_app", database);
  });

  it("written by a role that has made types of our names and looks for them first: nothing of its own runs as us", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const database = new URL(one.url).pathname.slice(1);
    const ask = (sql: string) => cluster.query(sql, database);
    await ask(
      `DROP ROLE IF EXISTS shop_evil; CREATE ROLE shop_evil; CREATE SCHEMA evil AUTHORIZATION shop_evil;
       GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_evil; SET ROLE shop_evil;
       CREATE TABLE evil.ran(who name); GRANT ALL ON evil.ran TO PUBLIC; GRANT USAGE ON SCHEMA evil TO PUBLIC;
       CREATE FUNCTION evil.run(value pg_catalog.text) RETURNS boolean LANGUAGE sql AS
         'INSERT INTO evil.ran VALUES (current_user); SELECT true';
       CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.run(VALUE));
       SET search_path = evil, pg_catalog;
       INSERT INTO public.notes VALUES ('by evil', 0.5); UPDATE public.codes SET body = '\\x02' WHERE code = 'k2'; RESET ROLE`,
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(await ask("SELECT who FROM evil.ran")).toEqual([]);
    expect(
      await ask(
        `SELECT proname FROM pg_proc WHERE pronamespace = 'lifeboat'::regnamespace AND prosecdef AND has_function_privilege('shop_evil', oid, 'EXECUTE')`,
      ),
    ).toEqual([]);
    await ask("DROP OWNED BY shop_evil; DROP ROLE shop_evil");
  });

  it("with ids that Postgres gave out and took back never given out again, and hidden rowids kept", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const before = rows("SELECT code, rowid FROM codes ORDER BY code");
    const client = await one.client();
    await client.query(
      "INSERT INTO users(email) VALUES ('x'), ('y'); DELETE FROM users WHERE id > 3; UPDATE codes SET body = '\\x01'",
    );
    // Some of them come back before the row whose rowid is the last, some after it.
    await client.query("INSERT INTO codes SELECT n || 'new' FROM generate_series(1, 9) AS n");
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT code, rowid FROM codes WHERE code LIKE 'k%' ORDER BY code")).toEqual(
      before,
    );
    const given = () => rows("SELECT seq FROM sqlite_sequence WHERE name = 'users'");
    expect(given()).toEqual([[5]]);
    await client.query(
      "ALTER TABLE users ALTER id RESTART WITH 4; INSERT INTO users(email) VALUES ('z')",
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(given()).toEqual([[5]]);
  });
});

it.each([
  ["a writer", "BEGIN IMMEDIATE"],
  ["a reader, which keeps the batch from its commit,", "BEGIN; SELECT 1 FROM codes"],
])(
  "a sync that goes on waits for %s that holds SQLite's lock, says so once, and loses and repeats nothing",
  async (_, lock) => {
    // In WAL mode a reader is in nobody's way.
    one = await reverseCase(cluster, `PRAGMA journal_mode = DELETE; ${SHOP}`);
    await one.cutOver();
    const stop = new AbortController();
    const log: string[] = [];
    const sync = followReverse({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: stop.signal,
      log: (line) => log.push(line),
    });
    const holder = new Database(one.path);
    holder.exec(lock);
    await one.query(
      "INSERT INTO codes VALUES ('meanwhile', NULL); INSERT INTO notes VALUES ('one')",
    );
    await expect.poll(() => log).toHaveLength(1);
    expect(log[0]).toMatch(
      /^sync: nothing is brought over since .*: another process holds SQLite's lock/,
    );
    holder.exec("ROLLBACK");
    holder.close();
    await expect.poll(() => log.at(-1)).toMatch(/^sync: at work again/);
    await expect.poll(() => rows("SELECT 1 FROM codes WHERE code = 'meanwhile'")).toEqual([[1]]);
    stop.abort();
    expect(await sync).toMatchObject({ rows: 2 });
    expect(await one.differencesAfterFollowing()).toEqual([]);
  },
);

it("rows that are far larger than any the plan has seen are fetched a few at a time, however they are found", async () => {
  one = await reverseCase(
    cluster,
    "CREATE TABLE files(id INTEGER PRIMARY KEY, body TEXT, meta JSON); CREATE TABLE bag(body BLOB); INSERT INTO files VALUES (1, 'a', '{}'); INSERT INTO bag VALUES (x'00')",
  );
  const plan = await one.cutOver();
  const [files, bag] = plan.tables as [PlannedTable, PlannedTable];
  const client = await one.client();
  await client.query(
    `INSERT INTO files SELECT i, repeat('x', 800000 + i), to_json(repeat('y', 200000)) FROM generate_series(11, 22) AS i;
     INSERT INTO bag SELECT decode(repeat('0f', 1000000 + i), 'hex') FROM generate_series(1, 12) AS i`,
  );
  const reader = await ChangeReader.begin(client, plan, FROM_THE_START);
  const keys = Array.from({ length: 12 }, (_, at) => [`${at + 11}`]);
  const ways = [reader.rowsOf(files, keys), reader.allRows(files), reader.copies(bag)];
  for (const [at, parts] of ways.entries()) {
    const lengths = (await Array.fromAsync(parts)).map((rows) => rows.length);
    expect(lengths.reduce((sum, length) => sum + length)).toBe([12, 13, 12][at]);
    // The log spells bytes in hexadecimal.
    expect(Math.max(...lengths)).toBe([8, 8, 4][at]);
  }
  await client.query("ROLLBACK");
});

it("a row with values of several MB comes in pieces that are small by themselves, whatever a character takes", async () => {
  one = await reverseCase(
    cluster,
    `CREATE TABLE files(id INTEGER PRIMARY KEY, body TEXT, note TEXT, data BLOB, mixed, upper_note TEXT AS (upper(note)) STORED);
     CREATE TABLE bag(body TEXT, n INTEGER);
     INSERT INTO files VALUES (1, 'a', 'b', x'00', 7), (2, 'a', NULL, NULL, 'x'); INSERT INTO bag VALUES ('b', 1)`,
  );
  const plan = await one.cutOver();
  const client = await one.client();
  await client.query(
    `UPDATE files SET body = 'x' || repeat('€', 1000000), note = '', data = decode(repeat('0f', 2500001), 'hex');
     INSERT INTO files VALUES (3, NULL, 'c', NULL, NULL);
     INSERT INTO bag SELECT 'y' || repeat('é', 1200000), n FROM generate_series(1, 2) AS n`,
  );
  let longest = 0;
  client.connection.on("dataRow", ({ length }) => {
    longest = Math.max(longest, length);
  });
  const reader = await ChangeReader.begin(client, plan, FROM_THE_START);
  const [files] = plan.tables as [PlannedTable];
  expect(await Array.fromAsync(reader.rowsOf(files, [["1"], ["3"]]))).toHaveLength(2);
  await client.query("ROLLBACK");
  expect(longest).toBeLessThan(2_500_000);
  expect(await one.differencesAfterFollowing()).toEqual([]);
  expect(rows("SELECT typeof(body), length(body), length(data) FROM files")).toEqual([
    ["text", 1_000_001, 2_500_001],
    ["text", 1_000_001, 2_500_001],
    ["null", null, null],
  ]);
});

describe("the product's own triggers in SQLite", () => {
  const FTS = `
    CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, touched INTEGER DEFAULT 0);
    CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);
    CREATE VIRTUAL TABLE docs_fts USING fts5(body, content='docs', content_rowid='id');
    CREATE TRIGGER lifeboat_ai AFTER INSERT ON docs BEGIN
      INSERT INTO docs_fts(rowid, body) VALUES (new.id, new.body); INSERT INTO audit(what) VALUES ('in; ' || new.id); END;
    CREATE TRIGGER ad AFTER DELETE ON docs BEGIN INSERT INTO docs_fts(docs_fts, rowid, body) VALUES ('delete', old.id, old.body); END;
    CREATE TRIGGER au AFTER UPDATE OF body ON docs WHEN old.body <> new.body BEGIN
      INSERT INTO docs_fts(docs_fts, rowid, body) VALUES ('delete', old.id, old.body);
      INSERT INTO docs_fts(rowid, body) VALUES (new.id, new.body);
      UPDATE docs SET touched = touched + 1 WHERE id = new.id; END;
    CREATE TRIGGER no BEFORE DELETE ON docs WHEN old.id = 1 BEGIN SELECT RAISE(ABORT, 'the first stays'); END;
    INSERT INTO docs(body) VALUES ('red house'), ('green tree'), ('blue sky');`;

  it("do nothing twice, refuse nothing that Postgres took, and keep the full-text index right", async () => {
    one = await reverseCase(cluster, FTS);
    await one.cutOver();
    const schema = () =>
      rows(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'lifeboat%' OR name = 'lifeboat_ai' ORDER BY name",
      );
    const before = schema();
    const client = await one.client();
    await client.query(
      "UPDATE docs SET body = 'yellow house' WHERE id = 2; INSERT INTO docs VALUES (4, 'white house', 0); DELETE FROM docs WHERE id = 1",
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT rowid FROM docs_fts('house') ORDER BY rowid")).toEqual([[2], [4]]);
    expect(rows("SELECT rowid FROM docs_fts('red OR green')")).toEqual([]);
    const db = new Database(one.path);
    db.exec("INSERT INTO docs_fts(docs_fts, rank) VALUES ('integrity-check', 1)");
    db.close();
    expect(schema()).toEqual(before);
  });
});

describe("what SQLite can't hold", () => {
  const refused: readonly (readonly [what: string, sql: string, says: RegExp])[] = [
    [
      "a row that a CHECK of SQLite refuses",
      "ALTER TABLE users DROP CONSTRAINT users_check; INSERT INTO users(id, age) VALUES (77, 500)",
      /row 77 of users is refused by SQLite/,
    ],
    [
      "a value of a UNIQUE column twice",
      "ALTER TABLE users DROP CONSTRAINT users_email_key; INSERT INTO users(id, email) VALUES (78, 'a')",
      /row 78 of users is refused by SQLite/,
    ],
    [
      "microseconds in a text of milliseconds",
      "UPDATE users SET at = '2024-01-01T00:00:00.000001Z' WHERE id = 2",
      /row 2 of users holds a value in at that/,
    ],
    [
      "an instant at infinity",
      "UPDATE users SET at = 'infinity' WHERE id = 2",
      /row 2 of users holds a value in at that/,
    ],
    [
      "not a number",
      "UPDATE notes SET weight = 'NaN'",
      /row \(no key\) of notes holds a value in weight that/,
    ],
    [
      "a new column",
      "ALTER TABLE codes ADD COLUMN lifeboat_extra text",
      /column lifeboat_extra of codes/,
    ],
    ["a new table", "CREATE TABLE public.invoices(id int)", /table invoices came to Postgres/],
    [
      "rows that come by way of another table",
      "CREATE SCHEMA other; CREATE TABLE other.more() INHERITS (notes); INSERT INTO other.more VALUES ('unseen')",
      /table notes has a parent or child table/,
    ],
    [
      "a table that a subscription writes",
      "SET allow_system_table_mods = on; INSERT INTO pg_subscription_rel(srsubid, srrelid, srsubstate) VALUES (1, 'public.notes'::regclass, 'r')",
      /table notes is written by a subscription/,
    ],
    [
      "a table whose capture was taken away",
      "DROP TRIGGER lifeboat_insert ON notes",
      /table notes lost the triggers/,
    ],
  ];

  it.each(refused)(
    "stops with a finding that names it, and loses nothing: %s",
    async (_, sql, says) => {
      one = await reverseCase(cluster, SHOP);
      await one.cutOver();
      const client = await one.client();
      await client.query("INSERT INTO codes VALUES ('good', NULL)");
      await cluster.query(sql, new URL(one.url).pathname.slice(1));
      await expect(one.follow()).rejects.toMatchObject({
        code: "NOT_FOLLOWABLE",
        message: expect.stringMatching(says),
      });
      expect(rows("SELECT 1 FROM codes WHERE code = 'good'")).toEqual([]);
      const kept = await one.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM lifeboat.changes",
      );
      expect(kept[0]?.n).toBeGreaterThan(0);
    },
  );

  it("is an instant that no text of the column's spelling has: before our era, of a year of five digits, at infinity", async () => {
    const columns = {
      whole: "2024-01-02 03:04:05",
      us: "2024-01-02 03:04:05.678901",
      day: "2024-01-02",
      zoned: "2024-01-02T03:04:05.678Z",
    };
    const names = Object.keys(columns);
    const values = Object.values(columns);
    one = await reverseCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, ${names.map((name) => `${name} DATETIME`).join(", ")}, python DATETIME);
       INSERT INTO t VALUES (1, '${values.join("', '")}', '${columns.us}'), (2, '${values.join("', '")}', '${columns.whole}')`,
    );
    await one.cutOver();
    const client = await one.client();
    for (const name of [...names, "python"])
      for (const value of ["0044-03-15 BC", "10000-01-02", "-infinity"]) {
        await client.query(`UPDATE t SET ${name} = '${value}' WHERE id = 1`);
        await expect(one.follow(), `${name} ${value}`).rejects.toMatchObject({
          code: "NOT_FOLLOWABLE",
          message: expect.stringContaining(`row 1 of t holds a value in ${name} that`),
        });
        await client.query(`UPDATE t SET ${name} = '0001-01-01' WHERE id = 1`);
      }
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT whole, us, day, zoned, python FROM t WHERE id = 1")).toEqual([
      [
        "0001-01-01 00:00:00",
        "0001-01-01 00:00:00.000000",
        "0001-01-01",
        "0001-01-01T00:00:00.000Z",
        "0001-01-01 00:00:00",
      ],
    ]);
  });

  it("is a value of a UNIQUE column twice also where the table says to replace or to ignore it", async () => {
    one = await reverseCase(
      cluster,
      "CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a TEXT UNIQUE ON CONFLICT REPLACE, b TEXT UNIQUE ON CONFLICT IGNORE); INSERT INTO t VALUES (1, 'a', 'b')",
    );
    await one.cutOver();
    const client = await one.client();
    await client.query("ALTER TABLE t DROP CONSTRAINT t_a_key, DROP CONSTRAINT t_b_key");
    for (const [a, b] of [
      ["a", "other"],
      ["other", "b"],
    ]) {
      await client.query(`INSERT INTO t VALUES (2, '${a}', '${b}')`);
      await expect(one.follow()).rejects.toMatchObject({
        code: "NOT_FOLLOWABLE",
        message: expect.stringMatching(/row 2 of t is refused by SQLite/),
      });
      await client.query("DELETE FROM t WHERE id = 2");
    }
    expect(await one.differencesAfterFollowing()).toEqual([]);
    expect(rows("SELECT * FROM t")).toEqual([[1, "a", "b"]]);
  });

  it("is an older copy of the file, since Postgres has forgotten what it lacks", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const client = await one.client();
    const { copyFile } = await import("node:fs/promises");
    await copyFile(one.path, `${one.path}.old`);
    await client.query("INSERT INTO codes VALUES ('first', NULL)");
    await one.follow();
    await copyFile(`${one.path}.old`, one.path);
    await expect(one.follow()).rejects.toMatchObject({ code: "SQLITE_REPLACED", kind: "refused" });
  });

  it("is what a Postgres has written since that was set back to an earlier state, and knows nothing of what SQLite holds", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const client = await one.client();
    await client.query("INSERT INTO codes VALUES ('first', NULL)");
    await one.follow();
    await client.query(
      "CREATE TABLE lifeboat.then AS SELECT * FROM lifeboat.followed; INSERT INTO codes VALUES ('lost', NULL)",
    );
    await one.follow();
    await client.query(
      `DELETE FROM codes WHERE code = 'lost'; DELETE FROM lifeboat.followed; INSERT INTO lifeboat.followed SELECT * FROM lifeboat.then;
       INSERT INTO codes VALUES ('new', NULL)`,
    );
    const setBack = { code: "POSTGRES_SET_BACK", kind: "refused" };
    await expect(one.follow()).rejects.toMatchObject(setBack);
    expect(rows("SELECT code FROM codes WHERE code > 'l'")).toEqual([["lost"]]);
  });

  it("is no column that is calculated there, which holds nothing of its own", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const client = await one.client();
    await client.query(
      "ALTER TABLE notes ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED",
    );
    await client.query("INSERT INTO notes VALUES ('searched', 2)");
    expect(await one.differencesAfterFollowing()).toEqual([]);
  });

  it("is a copy of the file from before the cutover, though nothing was followed yet, and no way leads back to it", async () => {
    one = await reverseCase(cluster, SHOP);
    const { copyFile } = await import("node:fs/promises");
    await copyFile(one.path, `${one.path}.old`);
    await one.cutOver();
    const client = await one.client();
    await client.query("INSERT INTO codes VALUES ('first', NULL)");
    await copyFile(`${one.path}.old`, one.path);
    const replaced = { code: "SQLITE_REPLACED", kind: "refused" };
    await expect(one.follow()).rejects.toMatchObject(replaced);
    const request = {
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    };
    await expect(rollbackMigration(request)).rejects.toMatchObject(replaced);
    await expect(finishMigration(request)).rejects.toMatchObject(replaced);
    expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
      { phase: "cut-over" },
    ]);
  });
});

describe("a finish", () => {
  it("takes away the rowids that were kept aside, and no column of the product's, whatever its name", async () => {
    one = await reverseCase(
      cluster,
      "CREATE TABLE boats(lifeboat_name TEXT, lifeboat_rowid_ INTEGER, crew INTEGER); INSERT INTO boats VALUES ('Grace', 1, 9)",
    );
    await one.cutOver();
    await finishMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    });
    const boat = { lifeboat_name: "Grace", lifeboat_rowid_: "1", crew: "9" };
    expect(await one.query("SELECT * FROM boats")).toEqual([boat]);
  });
});

describe("a table that the product wants for itself, to empty or alter it", () => {
  /** Waits until somebody waits for such a lock on a table of the product's. */
  async function isWaitedFor(watcher: pg.Client, mode: string): Promise<void> {
    await expect
      .poll(async () => {
        const { rows } = await watcher.query(
          `SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted AND mode = $1 AND database =
             (SELECT oid FROM pg_database WHERE datname = current_database())`,
          [mode],
        );
        return rows.length;
      }, POLL)
      .toBe(1);
  }
  const POLL = { interval: 10, timeout: 20_000 };

  it("is let go of by a finish that holds the tables still, which begins anew behind it", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const [writer, truncating, watcher] = [
      await one.client(),
      await one.client(),
      await one.client(),
    ];
    await writer.query("BEGIN; INSERT INTO codes VALUES ('late')");
    const finish = finishMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    });
    await isWaitedFor(watcher, "ShareRowExclusiveLock");
    const truncate = truncating.query("TRUNCATE codes");
    await isWaitedFor(watcher, "AccessExclusiveLock");
    await writer.query("COMMIT");
    await truncate;
    expect(await finish).toMatchObject({ live: "postgres" });
    expect(rows("SELECT count(*) FROM codes")).toEqual([[0]]);
  });

  it("is let go of by a sync, which gives way to a transaction that wants another one first", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const [product, watcher] = [await one.client(), await one.client()];
    await product.query("INSERT INTO users(email) VALUES ('d'); INSERT INTO codes VALUES ('n')");
    await product.query("BEGIN; TRUNCATE codes");
    const following = one.differencesAfterFollowing();
    await isWaitedFor(watcher, "AccessShareLock");
    await product.query("TRUNCATE users CASCADE; COMMIT");
    expect(await following).toEqual([]);
    expect(rows("SELECT count(*) FROM users")).toEqual([[0]]);
  });

  it("is named, with who has it, where a rollback can't read it in time; the product stays in Postgres", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const product = await one.client();
    await product.query("INSERT INTO codes VALUES ('n')");
    await product.query("BEGIN; LOCK TABLE codes IN ACCESS EXCLUSIVE MODE");
    const rollback = rollbackMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
      budgetSeconds: 0.1,
    });
    await expect(rollback).rejects.toMatchObject({
      code: "TABLES_IN_USE",
      message: expect.stringMatching(
        /process \d+ of \w+ holds AccessExclusiveLock on public\.codes/,
      ),
    });
    await product.query("INSERT INTO codes VALUES ('goes on'); COMMIT");
    expect(await one.differencesAfterFollowing()).toEqual([]);
  });
});
