import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** What pgloader 3.6.9 was seen to lose, most of it without a word: each must be right here, or refused. */
describe("what a migration must not lose", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  async function using(sql: string, test: (one: MigrationCase) => Promise<void>): Promise<void> {
    const one = await migrationCase(cluster, sql);
    try {
      await test(one);
    } finally {
      await one.end();
    }
  }

  const typesOf = (one: MigrationCase, table: string) =>
    one.query<{ name: string; type: string; required: boolean }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required
       FROM pg_attribute WHERE attrelid = 'public.${table}'::regclass AND attnum > 0 ORDER BY attnum`,
    );

  it("keeps every bit of a real, and NOT NULL outside the key", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, r REAL NOT NULL, u, name TEXT NOT NULL);
       INSERT INTO t VALUES (1, 1700000000.123, -0.0, 'a'), (2, 1929.47, 9e999, 'b'), (3, 5e-324, -9e999, ''), (4, 0.1 + 0.2, 1e15, 'd')`,
      async (one) => {
        await one.loadFaithfully();
        expect(await typesOf(one, "t")).toEqual([
          { name: "id", type: "bigint", required: true },
          { name: "r", type: "double precision", required: true },
          { name: "u", type: "double precision", required: false },
          { name: "name", type: "text", required: true },
        ]);
      },
    );
  });

  it("refuses text with NUL or broken UTF-8 by name, and keeps its bytes when told to", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, secret TEXT);
       INSERT INTO t VALUES (1, 'secret' || char(0) || 'suffix'), (2, CAST(x'fffe41' AS TEXT)), (3, 'fine')`,
      async (one) => {
        const [found] = (await one.plan()).findings;
        expect(found).toMatchObject({
          id: "text-with-nul",
          severity: "error",
          table: "t",
          column: "secret",
          count: 2,
          sample: ["1", "2"],
        });
        one.choices = { "t.secret": { type: "bytea", codec: "text-bytes" } };
        await one.loadFaithfully();
        expect((await one.verify()).ok).toBe(true);
        one.choices = { "t.secret": { type: "text", codec: "tagged" } };
        one.schema = "tagged";
        await one.loadFaithfully();
      },
    );
  });

  it("takes a time without a zone as it is, whatever zone the target is set to", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, at DATETIME DEFAULT CURRENT_TIMESTAMP, z TIMESTAMP);
       INSERT INTO t VALUES (1, '2024-07-01 12:00:00', '2024-07-01T12:00:00.250Z')`,
      async (one) => {
        const [{ name } = { name: "" }] = await one.query<{ name: string }>(
          "SELECT current_database() AS name",
        );
        await cluster.query(`ALTER DATABASE ${name} SET timezone = 'America/New_York'`);
        await one.loadFaithfully();
        expect((await typesOf(one, "t")).map((column) => column.type)).toEqual([
          "bigint",
          "timestamp without time zone",
          "timestamp with time zone",
        ]);
        expect(
          await one.query(`SELECT "at"::text, (z AT TIME ZONE 'UTC')::text AS z FROM public.t`),
        ).toEqual([{ at: "2024-07-01 12:00:00", z: "2024-07-01 12:00:00.25" }]);
      },
    );
  });

  it("keeps a NOCASE key unique without regard to ASCII case, and to no other", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE);
       INSERT INTO t VALUES (1, 'Bob'), (2, 'CAFÉ'), (3, 'café')`,
      async (one) => {
        await one.loadFaithfully();
        await expect(one.query("INSERT INTO public.t(email) VALUES ('bOB')")).rejects.toThrow(
          /duplicate key/,
        );
        await one.query("INSERT INTO public.t(email) VALUES ('cafÈ')");
      },
    );
  });

  it("keeps a CHECK and a partial index that name their table, as drizzle writes them", async () => {
    await using(
      `CREATE TABLE \`item\` (\`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL, \`price\` real NOT NULL, \`note\` text, \`gone\` integer,
         CONSTRAINT "price_check" CHECK("item"."price" >= 0), CONSTRAINT "note_check" CHECK(\`item\`.\`note\` <> 'item'));
       CREATE UNIQUE INDEX \`note_alive\` ON \`item\` (\`note\`) WHERE "item"."gone" is null;
       INSERT INTO item(price, note, gone) VALUES (1.5, 'a', NULL), (0, 'a', 1), (2, hex(zeroblob(3000)), 1)`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings).toEqual([]);
        await expect(one.query("INSERT INTO item(price) VALUES (-1)")).rejects.toThrow(
          "price_check",
        );
        await expect(one.query("INSERT INTO item(price, note) VALUES (1, 'a')")).rejects.toThrow(
          "note_alive",
        );
      },
    );
  });

  it("names the rows that break a CHECK or are too long for an index which names its table", async () => {
    await using(
      `CREATE TABLE item(id INTEGER PRIMARY KEY, price REAL, note TEXT, CONSTRAINT positive CHECK ("item"."price" > 0));
       CREATE UNIQUE INDEX alive ON item(note) WHERE "item"."price" < 9;
       PRAGMA ignore_check_constraints = ON; INSERT INTO item VALUES (1, 1, 'a'), (7, -1, 'b'), (8, 2, hex(zeroblob(5000)))`,
      async (one) => {
        const { findings } = await one.plan();
        expect(findings.map(({ id, sample }) => [id, sample])).toEqual(
          expect.arrayContaining([
            ["check-violated", ["7"]],
            ["key-too-long", ["8"]],
          ]),
        );
      },
    );
  });

  it("keeps CHECKs and generated columns, and names each that it can't", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, kind TEXT CHECK (kind IN ('simple', 'cron')), n INT CHECK (n BETWEEN 1 AND 9),
         amount DECIMAL(10,2), cents AS (CAST(ROUND(amount * 100) AS INTEGER)) STORED, loud TEXT AS (upper(kind)),
         CONSTRAINT dated CHECK (date(kind) IS NULL));
       INSERT INTO t(kind, n, amount) VALUES ('simple', 1, 12.34), ('cron', 9, 5), (NULL, NULL, 0.285), ('cron', 2, -0.285)`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings).toEqual([
          expect.objectContaining({
            id: "check-not-translated",
            severity: "warning",
            table: "t",
            column: "dated",
          }),
        ]);
        await expect(one.query("INSERT INTO public.t(kind) VALUES ('else')")).rejects.toThrow(
          /t_check/,
        );
        await expect(one.query("INSERT INTO public.t(n) VALUES (10)")).rejects.toThrow(/t_check_2/);
        const made = await one.query(
          "INSERT INTO public.t(kind, amount) VALUES ('cron', 0.5) RETURNING cents, loud",
        );
        expect(made).toEqual([{ cents: "50", loud: "CRON" }]);
      },
    );
  });

  it("never gives out again an id that AUTOINCREMENT has given, and goes on where there is none", async () => {
    await using(
      `CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO a VALUES (500, 1); DELETE FROM a;
       CREATE TABLE b(id INTEGER PRIMARY KEY, v); INSERT INTO b VALUES (7, 1);
       CREATE TABLE c(id INTEGER PRIMARY KEY, v); CREATE TABLE d(id INTEGER PRIMARY KEY, v); INSERT INTO d VALUES (-4, 1)`,
      async (one) => {
        await one.loadFaithfully();
        const next = async (table: string) =>
          (
            await one.query<{ id: string }>(
              `INSERT INTO public.${table}(v) VALUES (1) RETURNING id`,
            )
          )[0]?.id;
        expect([await next("a"), await next("b"), await next("c"), await next("d")]).toEqual([
          "501",
          "8",
          "1",
          "1",
        ]);
      },
    );
  });

  it("gives new rows the defaults that SQLite gave them", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, made TEXT DEFAULT (datetime('now')), iso TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
         s INTEGER DEFAULT (strftime('%s','now')), token TEXT DEFAULT (lower(hex(randomblob(16)))), q TEXT DEFAULT 'it''s',
         d TEXT DEFAULT "double", b BLOB DEFAULT x'cafe', f BOOLEAN DEFAULT TRUE, n INT DEFAULT -1, odd TEXT DEFAULT (sqlite_version()));
       INSERT INTO t(id, made, iso) VALUES (1, 'long ago', 'then')`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings.map((found) => `${found.id} ${found.column}`)).toEqual([
          "default-not-translated odd",
        ]);
        const [row] = await one.query("INSERT INTO public.t DEFAULT VALUES RETURNING *");
        expect(row).toMatchObject({
          made: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
          iso: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          s: expect.stringMatching(/^\d{10}$/),
          token: expect.stringMatching(/^[0-9a-f]{32}$/),
          q: "it's",
          d: "double",
          b: Buffer.from("cafe", "hex"),
          f: true,
          n: "-1",
          odd: null,
        });
      },
    );
  });

  it("keeps foreign keys with their actions and deferral, by implicit key, to itself and in a circle", async () => {
    await using(
      `CREATE TABLE p(a INT, b TEXT, PRIMARY KEY(a, b)); INSERT INTO p VALUES (1, 'x');
       CREATE TABLE c(id INTEGER PRIMARY KEY, a INT, b TEXT,
         FOREIGN KEY (a, b) REFERENCES P(A, B) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED);
       INSERT INTO c VALUES (1, 1, 'x'), (2, NULL, 'z');
       CREATE TABLE tree(id INTEGER PRIMARY KEY, parent INT REFERENCES tree ON DELETE RESTRICT); INSERT INTO tree VALUES (1, 2), (2, 1);
       CREATE TABLE x(id INTEGER PRIMARY KEY, y INT REFERENCES y); CREATE TABLE y(id INTEGER PRIMARY KEY, x INT REFERENCES x);
       INSERT INTO x VALUES (1, 1); INSERT INTO y VALUES (1, 1);
       CREATE TABLE told(id INTEGER PRIMARY KEY, tree TEXT REFERENCES tree(id)); INSERT INTO told VALUES (1, '2')`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings).toEqual([]);
        const keys = await one.query<{ definition: string }>(
          "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY conname",
        );
        expect(keys.map((key) => key.definition)).toEqual([
          "FOREIGN KEY (a, b) REFERENCES p(a, b) ON UPDATE SET NULL ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
          "FOREIGN KEY (tree) REFERENCES tree(id)",
          "FOREIGN KEY (parent) REFERENCES tree(id) ON DELETE RESTRICT",
          "FOREIGN KEY (y) REFERENCES y(id)",
          "FOREIGN KEY (x) REFERENCES x(id)",
        ]);
      },
    );
  });

  it("refuses orphans by name, and keeps them beside a key that is not validated when told to", async () => {
    await using(
      `CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES p);
       INSERT INTO c VALUES (5, 1), (6, NULL), (9, 2)`,
      async (one) => {
        expect((await one.plan()).findings).toEqual([
          expect.objectContaining({
            id: "foreign-key-orphans",
            severity: "error",
            table: "c",
            column: "p",
            count: 2,
            sample: ["5", "9"],
          }),
        ]);
        one.choices = { "c.p": { constraint: "not-valid" } };
        await one.loadFaithfully();
        expect((await one.verify()).ok).toBe(true);
        await expect(one.query("INSERT INTO public.c VALUES (10, 3)")).rejects.toThrow(
          /foreign key/,
        );
      },
    );
  });

  it("leaves out what could go over where a choice says so, and tells each", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, boss INT REFERENCES t(id), n INT CHECK (n > 0));
       CREATE INDEX by_n ON t(n); INSERT INTO t VALUES (1, 1, 1)`,
      async (one) => {
        const skip = { constraint: "skip" } as const;
        one.choices = { "t.by_n": skip, "t.boss": skip, "t.check 1": skip };
        const { findings } = await one.loadFaithfully();
        expect(findings.map(({ id, severity, column }) => [id, severity, column]).sort()).toEqual([
          ["left-out", "warning", "boss"],
          ["left-out", "warning", "by_n"],
          ["left-out", "warning", "check 1"],
        ]);
        expect(
          await one.query(
            `SELECT conname FROM pg_constraint WHERE conrelid = 'public.t'::regclass AND contype <> 'p'
             UNION ALL SELECT indexname FROM pg_indexes WHERE tablename = 't' AND indexname <> 't_pkey'`,
          ),
        ).toEqual([]);
        expect(await one.verify()).toMatchObject({ ok: true });
      },
    );
  });

  it("keeps partial, expression and descending indexes, and NULLs in a key", async () => {
    await using(
      `CREATE TABLE t(code TEXT PRIMARY KEY, state TEXT, at INT);
       INSERT INTO t VALUES ('x', 'down', 1), (NULL, 'up', 2), (NULL, 'up', 2);
       CREATE UNIQUE INDEX one_down ON t(at) WHERE state <> 'up'; CREATE INDEX folded ON t(lower(state), at DESC)`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings.map((found) => `${found.severity} ${found.id}`)).toEqual([
          "warning null-in-primary-key",
        ]);
        await one.query("INSERT INTO public.t VALUES (NULL, 'up', 1)");
        await expect(one.query("INSERT INTO public.t VALUES ('y', 'lost', 1)")).rejects.toThrow(
          /one_down/,
        );
        await expect(one.query("INSERT INTO public.t VALUES ('x', 'up', 1)")).rejects.toThrow(
          /t_code_key/,
        );
      },
    );
  });

  it("keeps an expression unique under the collation of its index", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, email TEXT, code TEXT COLLATE RTRIM);
       INSERT INTO t VALUES (1, 'Bob@x.org', 'a'), (2, 'ann@x.org', 'b  ');
       CREATE UNIQUE INDEX once ON t(trim(email) COLLATE NOCASE); CREATE UNIQUE INDEX coded ON t((code || '') COLLATE RTRIM);
       CREATE UNIQUE INDEX bytes ON t(email || '')`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.tables[0]?.indexes.map(({ name }) => name)).toEqual(["once", "coded", "bytes"]);
        for (const [row, index] of [
          ["' bOB@x.org ', 'c'", "once"],
          ["'dan@x.org', 'b'", "coded"],
        ] as const) {
          const insert = `INSERT INTO t(email, code) VALUES (${row})`;
          expect(() => one.sqlite(insert)).toThrow(/UNIQUE/);
          await expect(one.query(insert)).rejects.toThrow(index);
        }
      },
    );
  });

  it("names what asks for the class of a number, which Postgres keeps of none", async () => {
    await using(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, price DECIMAL(10,2) CHECK (typeof(price) = 'integer'), n CHECK (typeof(n) <> 'text'));
       INSERT INTO t VALUES (1, 5, 1), (2, 7, 2.5);
       CREATE INDEX by_class ON t(typeof(n)); CREATE VIEW classes AS SELECT typeof(n) AS class FROM t;
       CREATE VIEW doubled AS SELECT id, price * 2 AS twice, n FROM t WHERE price > 5.5`,
      async (one) => {
        const { findings } = await one.loadFaithfully();
        expect(findings.map(({ severity, id, column }) => [severity, id, column])).toEqual([
          ["warning", "index-not-translated", "by_class"],
          ["warning", "check-not-translated", "check 1"],
          ["warning", "check-not-translated", "check 2"],
          ["warning", "view-not-translated", null],
        ]);
        await one.query("INSERT INTO t VALUES (3, 9, 4)");
        expect(await one.query("SELECT twice FROM doubled ORDER BY id")).toEqual([
          { twice: 14 },
          { twice: 18 },
        ]);
      },
    );
  });

  it("leaves virtual and shadow tables and triggers out with a warning each, and statistics without", async () => {
    await using(
      `CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO notes VALUES (1, 'first');
       CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes', content_rowid='id');
       CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN INSERT INTO notes_fts(rowid, body) VALUES (new.id, new.body); END;
       CREATE INDEX by_body ON notes(body); ANALYZE`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.tables.map((table) => table.name)).toEqual(["notes"]);
        expect(
          plan.findings.map((found) => `${found.severity} ${found.id} ${found.table}`),
        ).toEqual(["warning trigger notes", "warning virtual-table notes_fts"]);
        expect(plan.findings[1]?.summary).toContain("tsvector");
      },
    );
  });

  it("proposes triggers and indexes that do in Postgres what they did in SQLite", async () => {
    await using(
      `CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT, revision INT NOT NULL DEFAULT 0);
       CREATE TABLE log(id INTEGER PRIMARY KEY, note INT, was TEXT, is_now TEXT);
       INSERT INTO notes(body) VALUES ('running shoes'), ('red house');
       CREATE VIRTUAL TABLE words USING fts5(body, content='notes', content_rowid='id', tokenize='porter');
       CREATE VIRTUAL TABLE places USING rtree(id, minx, maxx, miny, maxy); CREATE VIRTUAL TABLE alone USING fts5(body);
       INSERT INTO words(words) VALUES ('rebuild');
       CREATE TRIGGER fed AFTER INSERT ON notes BEGIN INSERT INTO words(rowid, body) VALUES (new.id, new.body); END;
       CREATE TRIGGER counted AFTER UPDATE OF body ON notes WHEN old.body IS NOT new.body BEGIN
         UPDATE notes SET revision = revision + 1 WHERE id = new.id;
         INSERT INTO log(note, was, is_now) VALUES (new.id, old.body, new.body); END;
       CREATE TRIGGER again AFTER UPDATE ON notes BEGIN UPDATE notes SET body = lower(body) WHERE id = new.id; END;
       CREATE TRIGGER kept BEFORE DELETE ON notes BEGIN SELECT CASE WHEN old.revision > 0 THEN RAISE(ABORT, 'it is in use') END; END;
       CREATE TRIGGER quiet BEFORE INSERT ON notes WHEN new.body = '' BEGIN SELECT RAISE(IGNORE); END;`,
      async (one) => {
        const plan = await one.loadFaithfully();
        const open = plan.findings.filter(({ summary }) => summary.includes("left to write"));
        expect(open).toEqual([]);
        for (const { proposal } of plan.findings) if (proposal) await one.query(proposal);
        for (const sql of [
          "INSERT INTO notes(body) VALUES ('late runners'), ('')",
          "UPDATE notes SET body = 'blue house' WHERE id = 2",
          "UPDATE notes SET body = body WHERE id = 1",
          "DELETE FROM notes WHERE id = 1",
        ]) {
          one.sqlite(sql);
          await one.query(sql);
        }
        const refused = "DELETE FROM notes WHERE id = 2";
        expect(() => one.sqlite(refused)).toThrow("it is in use");
        await expect(one.query(refused)).rejects.toThrow("it is in use");
        expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
        expect(
          await one.query(
            "SELECT id FROM notes WHERE search @@ websearch_to_tsquery('english', 'runner')",
          ),
        ).toEqual([{ id: "3" }]);
        await one.query(
          "INSERT INTO places VALUES (1, 0, 1, 0, 1); INSERT INTO alone VALUES (1, 'x')",
        );
        expect(
          await one.query("SELECT id FROM places WHERE area && box '(0.5, 0.5), (2, 2)'"),
        ).toEqual([{ id: "1" }]);
      },
    );
  });

  it("keeps names as they are, and names each that Postgres can't have", async () => {
    const long = "a_name_that_is_longer_than_the_sixty_three_bytes_of_postgres_and_cut";
    await using(
      `CREATE TABLE "Order"("Mixed Case" INT PRIMARY KEY, "quo""te" TEXT, "ünïcode" TEXT, ctid TEXT, "a.b" TEXT);
       INSERT INTO "Order" VALUES (1, 'q', 'u', 'c', 'd');
       CREATE TABLE ${long}_1(${long}_x INT, ${long}_y INT); INSERT INTO ${long}_1 VALUES (1, 2); CREATE TABLE ${long}_2(x INT)`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.findings.every((found) => found.id === "renamed")).toBe(true);
        expect(plan.findings).toHaveLength(5);
        expect(plan.findings.map(({ summary }) => summary)).toContainEqual(
          expect.stringContaining(`column ${long}_x of ${long}_1 can't bear its name`),
        );
        expect(
          await one.query(
            `SELECT "Mixed Case", "quo""te", "ünïcode", ctid_, "a.b" FROM public."Order"`,
          ),
        ).toHaveLength(1);
      },
    );
  });

  it("moves numbers among texts with a spelling that brings them back, keys and references too", async () => {
    await using(
      `CREATE TABLE p(id INT PRIMARY KEY, v); INSERT INTO p VALUES (3, 1), ('x', 2.5), (2.5, 7);
       CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES p); INSERT INTO c VALUES (1, 3), (2, 'x');
       CREATE TABLE m(v); INSERT INTO m VALUES (1), ('1')`,
      async (one) => {
        expect((await one.plan()).findings.filter((found) => found.severity === "error")).toEqual([
          expect.objectContaining({ id: "mixed-classes", table: "m", column: "v" }),
        ]);
        one.choices = { "m.v": { type: "text", codec: "tagged" } };
        await one.loadFaithfully();
        expect(await one.query("SELECT v FROM public.m ORDER BY v")).toEqual([
          { v: "i:1" },
          { v: "t:1" },
        ]);
      },
    );
  });

  it("moves wide rows, BLOBs and long texts, and tables without a rowid", async () => {
    await using(
      `CREATE TABLE wide(id INTEGER PRIMARY KEY, body BLOB, t TEXT, at REAL, ok BOOLEAN, u TEXT, d DATE);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
       INSERT INTO wide SELECT i * 1000, randomblob(i % 300), replace(hex(zeroblob(i % 50)), '00', 'a' || char(9)), i / 7.0, i % 2,
         '0f8fad5b-d9cb-469f-a165-7086772895' || printf('%02x', i % 256), date('2024-01-01', i || ' days') FROM n;
       UPDATE wide SET body = zeroblob(3000000) WHERE id = 5000; UPDATE wide SET body = NULL, t = NULL, at = NULL WHERE id = 7000;
       UPDATE wide SET body = x'' WHERE id = 8000;
       CREATE TABLE kv(ns TEXT, k TEXT, v INT, b BLOB, PRIMARY KEY (ns, k, v DESC)) WITHOUT ROWID;
       INSERT INTO kv SELECT 'n' || (id % 7), id, id, body FROM wide WHERE id <> 5000`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(plan.tables[0]?.columns.map((column) => column.type)).toEqual([
          "bigint",
          "bytea",
          "text",
          "double precision",
          "boolean",
          "uuid",
          "date",
        ]);
        expect((await one.verify()).ok).toBe(true);
      },
    );
  });

  it("keeps views whose query means the same, and names each other", async () => {
    await using(
      `CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, paid BOOLEAN, at DATETIME);
       CREATE TABLE bills(id INTEGER PRIMARY KEY, user_id INT REFERENCES users, cents INT, note TEXT);
       INSERT INTO users VALUES (1, 'a', 1, '2024-01-02 03:04:05'), (2, 'B', 0, NULL), (3, 'c', 0, '2024-01-02 03:04:06');
       INSERT INTO bills VALUES (1, 1, 5, 'x'), (2, 1, 7, NULL), (3, 3, 1, 'ä');
       CREATE VIEW unpaid AS SELECT u.id, u.email, ifnull(b.note, '-') AS note, b.cents * 2 twice, b.cents > 3 AS big
         FROM users u LEFT JOIN bills AS b ON b.user_id = u.id WHERE NOT u.paid AND u.email <> 'C' ORDER BY b.note DESC;
       CREATE VIEW sums AS SELECT user_id, count(*) AS n, sum(cents), max(note) FROM bills GROUP BY user_id HAVING count(*) > 1;
       CREATE VIEW dated AS SELECT * FROM users WHERE at IS NOT NULL;
       CREATE VIEW of_view AS SELECT n + 1 AS more FROM sums WHERE n IN (1, 2, 3);
       CREATE VIEW dearest AS SELECT id, -cents AS cents, note AS kind, cents AS note FROM bills ORDER BY cents, bills.note LIMIT 1;
       CREATE VIEW later AS SELECT id FROM bills ORDER BY id LIMIT -1 OFFSET 1;
       CREATE VIEW whole AS SELECT id FROM bills ORDER BY id LIMIT 2 OFFSET -1;
       CREATE VIEW stamped AS SELECT id, at AS email FROM users ORDER BY email LIMIT 1;
       CREATE VIEW years AS SELECT strftime('%Y', at) FROM users; CREATE VIEW folded AS SELECT email FROM users GROUP BY email;
       CREATE VIEW payers AS SELECT paid, count(*) AS n FROM users u GROUP BY u.paid ORDER BY n;
       CREATE VIEW crossed AS SELECT b.id AS bill FROM users u JOIN bills b ON b.user_id = u.id WHERE b.id = 2;
       CREATE VIEW lines AS SELECT b.*, u.email FROM users u JOIN bills b ON b.user_id = u.id ORDER BY b.id;
       CREATE VIEW listed AS SELECT u.id, b.note FROM users u, bills b ON b.user_id = u.id ORDER BY b.id;
       CREATE VIEW last_note AS SELECT id FROM bills ORDER BY note DESC LIMIT 1;
       CREATE VIEW first_note AS SELECT id FROM bills ORDER BY note LIMIT 1;
       CREATE VIEW cheapest AS SELECT id, -cents AS cents FROM bills ORDER BY bills.cents LIMIT 1;
       CREATE VIEW first_email AS SELECT id FROM users ORDER BY email LIMIT 1;
       CREATE VIEW emails AS SELECT DISTINCT email FROM users; CREATE VIEW again AS SELECT id, 1 AS email FROM dated WHERE email = 1;
       CREATE VIEW owing AS SELECT id FROM dated WHERE paid = 0; CREATE VIEW swapped AS SELECT id AS twice, twice AS n FROM unpaid ORDER BY twice;
       CREATE VIEW by_place AS SELECT user_id, count(*) FROM bills GROUP BY 1; CREATE VIEW in_place AS SELECT cents FROM bills ORDER BY 1 LIMIT 1;
       CREATE VIEW broken AS SELECT * FROM missing`,
      async (one) => {
        const plan = await one.loadFaithfully();
        expect(
          plan.findings.map((found) => `${found.severity} ${found.id} ${found.table}`),
        ).toEqual([
          "warning collation users",
          "warning view-not-translated stamped",
          "warning view-not-translated years",
          ...["emails", "again", "owing", "swapped", "by_place", "in_place"].map(
            (view) => `warning view-not-translated ${view}`,
          ),
          "warning view-not-translated broken",
          "warning view-refused folded",
        ]);
        expect(await one.query("SELECT * FROM public.unpaid")).toEqual([
          { id: "2", email: "B", note: "-", twice: null, big: null },
        ]);
        expect(await one.query("SELECT * FROM public.sums")).toEqual([
          { user_id: "1", n: "2", "sum(cents)": "12", "max(note)": "x" },
        ]);
        expect(await one.query("SELECT id FROM public.dated ORDER BY id")).toEqual([
          { id: "1" },
          { id: "3" },
        ]);
        expect(await one.query("SELECT * FROM public.of_view")).toEqual([{ more: "3" }]);
        expect(await one.query("SELECT * FROM public.dearest")).toEqual([
          { id: "2", cents: "-7", kind: null, note: "7" },
        ]);
        expect(await one.query("SELECT * FROM public.payers")).toEqual([
          { paid: true, n: "1" },
          { paid: false, n: "2" },
        ]);
        expect(await one.query("SELECT * FROM public.later")).toEqual([{ id: "2" }, { id: "3" }]);
        expect(await one.query("SELECT * FROM public.whole")).toEqual([{ id: "1" }, { id: "2" }]);
        const sqlite = new Database(one.path, { readonly: true });
        for (const view of `crossed lines listed last_note first_note cheapest first_email`.split(
          " ",
        )) {
          const rows = sqlite.prepare(`SELECT * FROM ${view}`).raw().all() as unknown[][];
          const found = await one.query(`SELECT * FROM public.${view}`);
          expect(found.map(Object.values), view).toEqual(
            rows.map((row) => row.map((value) => (typeof value === "number" ? `${value}` : value))),
          );
        }
        sqlite.close();
        expect((await one.verify()).ok).toBe(true);
      },
    );
  });
});
