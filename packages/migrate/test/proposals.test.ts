import { expect, it, onTestFinished } from "vitest";
import { plannedCase } from "./captured-case.ts";

/** The proposals of a database's plan, by the name of what they stand for. */
async function proposals(sql: string): Promise<Record<string, string | undefined>> {
  const one = await plannedCase(sql);
  onTestFinished(() => one.end());
  return Object.fromEntries(
    one.plan.findings.map(({ table, column, proposal }) => [column ?? table, proposal]),
  );
}

const TABLES = `
  CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT, seen INT, made DATETIME DEFAULT CURRENT_TIMESTAMP, balance REAL);
  CREATE TABLE audit(seq INTEGER PRIMARY KEY, user INT, what TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
  INSERT INTO users VALUES (1, 'a', 1, '2024-01-02 03:04:05', 1.5);`;

it("proposes a trigger as it was: its instant, event, columns and condition", async () => {
  const { seen } = await proposals(`${TABLES}
    CREATE TRIGGER seen AFTER UPDATE OF email, seen ON users FOR EACH ROW WHEN old.email IS NOT new.email BEGIN
      INSERT INTO audit(user, what, at) VALUES (new.rowid, old.email || ' to ' || new.email, datetime('now')); END;`);
  expect(
    seen,
  ).toBe(`CREATE FUNCTION "public"."seen"() RETURNS trigger LANGUAGE plpgsql AS $lifeboat$
BEGIN
  INSERT INTO "public"."audit" ("user", "what", "at") VALUES (NEW."id", ((OLD."email" || ' to '::text) || NEW."email"), to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'));
  RETURN NULL;
END $lifeboat$;
CREATE TRIGGER "seen" AFTER UPDATE OF "email", "seen" ON "public"."users"
  FOR EACH ROW WHEN ((OLD."email" COLLATE "C" IS DISTINCT FROM NEW."email" COLLATE "C")) EXECUTE FUNCTION "public"."seen"();`);
});

it.each([
  [
    "BEFORE DELETE ON users BEGIN SELECT RAISE(ABORT, 'it''s kept') WHERE old.seen > 3; END",
    "IF (OLD.\"seen\" > 3::bigint) THEN RAISE EXCEPTION USING MESSAGE = 'it''s kept', ERRCODE = 'integrity_constraint_violation'; END IF;",
  ],
  [
    "INSERT ON users BEGIN SELECT CASE WHEN new.email NOT LIKE '%@%' THEN RAISE(FAIL, 'no address') END; END",
    "RAISE EXCEPTION USING MESSAGE = 'no address'",
  ],
  [
    "BEFORE INSERT ON users BEGIN SELECT RAISE(IGNORE) WHERE new.id < 0; END",
    'IF (NEW."id" < 0::bigint) THEN RETURN NULL; END IF;',
  ],
  [
    "AFTER UPDATE ON users BEGIN UPDATE users SET made = CURRENT_TIMESTAMP, seen = seen + 1 WHERE id = new.id; END",
    `UPDATE "public"."users" AS t SET "made" = date_trunc('second', (now() AT TIME ZONE 'UTC')), "seen" = (t."seen" + 1::bigint) WHERE (t."id" = NEW."id");`,
  ],
  [
    "AFTER DELETE ON users BEGIN DELETE FROM audit WHERE user = old.id; END",
    'DELETE FROM "public"."audit" AS t WHERE (t."user" = OLD."id");',
  ],
  [
    "AFTER UPDATE ON users BEGIN UPDATE audit SET what = at, user = seq, at = 'never' WHERE user = new.id; END",
    `SET "what" = t."at", "user" = t."seq", "at" = 'never' WHERE`,
  ],
  [
    "AFTER INSERT ON users BEGIN INSERT OR IGNORE INTO audit(seq, what) SELECT new.id, new.email WHERE new.seen; END",
    'INSERT INTO "public"."audit" ("seq", "what") SELECT NEW."id", NEW."email" WHERE (NEW."seen" <> 0) ON CONFLICT DO NOTHING;',
  ],
  [
    "AFTER INSERT ON users BEGIN SELECT CASE WHEN (CASE WHEN new.seen THEN 1 ELSE 0 END) THEN RAISE(ABORT, 'seen') END; END",
    "RAISE EXCEPTION USING MESSAGE = 'seen'",
  ],
  ["BEFORE DELETE ON users BEGIN DELETE FROM audit; END", "RETURN OLD;"],
])("translates the body of CREATE TRIGGER one %s", async (trigger, wanted) => {
  const { one } = await proposals(`${TABLES} CREATE TRIGGER one ${trigger};`);
  expect(one).toContain(wanted);
  expect(one).not.toContain("left to write");
});

it("tells the word that begins a trigger's body from columns, and the trigger, of that name", async () => {
  const { begin, two } =
    await proposals(`CREATE TABLE events(id INTEGER PRIMARY KEY, begin INT, end INT);
    INSERT INTO events VALUES (1, 2, 3);
    CREATE TRIGGER begin INSERT ON events WHEN new.begin > new.end BEGIN SELECT RAISE(ABORT, 'x'); END;
    CREATE TRIGGER IF NOT EXISTS two AFTER UPDATE OF begin ON events BEGIN DELETE FROM events WHERE begin = old.begin; END;`);
  expect(begin).toContain("BEGIN\n  RAISE EXCEPTION USING MESSAGE = 'x'");
  expect(begin).toContain(
    'BEFORE INSERT ON "public"."events"\n  FOR EACH ROW WHEN ((NEW."begin" > NEW."end"))',
  );
  expect(two).toContain('AS t WHERE (t."begin" = OLD."begin");');
  expect(two).toContain('AFTER UPDATE OF "begin" ON');
});

it("keeps a trigger that writes to its own table from firing itself, as SQLite does", async () => {
  const { one } = await proposals(
    `${TABLES} CREATE TRIGGER one AFTER UPDATE ON users WHEN new.seen > 1 BEGIN UPDATE users SET seen = 0 WHERE id = new.id; END;`,
  );
  expect(one).toContain('WHEN (pg_trigger_depth() = 0 AND (NEW."seen" > 1::bigint))');
  const { two } = await proposals(
    `${TABLES} CREATE TRIGGER two AFTER UPDATE ON users BEGIN UPDATE OR FAIL users SET seen = 0 WHERE id = new.id; END;`,
  );
  expect(two).toContain("WHEN (pg_trigger_depth() = 0)");
});

it("leaves as a comment what it can't translate, and says why", async () => {
  const { one, view } = await proposals(`${TABLES} CREATE VIEW v AS SELECT id FROM users;
    CREATE TRIGGER one AFTER INSERT ON users BEGIN
      INSERT OR REPLACE INTO audit VALUES (1, 2, 'x', 'y'); INSERT INTO audit(what) VALUES (printf('%d', new.id)); DELETE FROM audit WHERE user IN (SELECT 1);
      SELECT RAISE(ABORT, 'x') FROM audit WHERE user = new.id; INSERT INTO audit(user) VALUES (1) ON CONFLICT DO NOTHING; END;
    CREATE TRIGGER view INSTEAD OF INSERT ON v BEGIN DELETE FROM audit; END;`);
  expect(one?.match(/^ {2}-- left to write .*/gm)).toEqual([
    "  -- left to write (OR REPLACE has no equal: write INSERT … ON CONFLICT (…) DO UPDATE): INSERT OR REPLACE INTO audit VALUES (1, 2, 'x', 'y')",
    "  -- left to write (function printf() is not known here): INSERT INTO audit(what) VALUES (printf('%d', new.id))",
    '  -- left to write ("SELECT" has no translation here): DELETE FROM audit WHERE user IN (SELECT 1)',
    "  -- left to write (more than RAISE in a SELECT): SELECT RAISE(ABORT, 'x') FROM audit WHERE user = new.id",
    "  -- left to write (more than rows after VALUES): INSERT INTO audit(user) VALUES (1) ON CONFLICT DO NOTHING",
  ]);
  expect(view).toBeUndefined();
});

it.each([
  ["UPDATE OR IGNORE audit SET what = 'x'", "UPDATE OR IGNORE has no equal"],
  ["UPDATE audit SET (what, at) = ('x', 'y')", "SET of several columns"],
  ["UPDATE audit SET what = new.made", 'NEW."made" is stored in another form'],
  ["UPDATE audit SET user = new.email", "user is bigint in Postgres and gets a text"],
  ["UPDATE audit SET what = seq", "what is text in Postgres and gets a integer"],
  ["SELECT RAISE(ABORT, 5)", "a message that is no constant"],
  ["INSERT INTO audit(what) VALUES ('a', 'b')", "more values than columns"],
  ["INSERT INTO sums VALUES (1, 2)", null],
  ["SELECT RAISE(IGNORE) WHERE new.id < 0", "RAISE(IGNORE) after the write"],
  ["SELECT RAISE(ABORT, 'no ' || new.id)", "a message that is no constant"],
])("translates %s to nothing else than it is", async (statement, reason) => {
  const { one } = await proposals(`${TABLES} CREATE TABLE sums(a INT, b INT AS (a * 2), c INT);
    CREATE TRIGGER one AFTER INSERT ON users BEGIN ${statement}; END;`);
  if (reason === null) expect(one).toContain('INTO "public"."sums" ("a", "c") VALUES (1, 2);');
  else expect(one).toContain(`-- left to write (${reason}`);
});

it("says that some is left to write where it is the condition", async () => {
  const one = await plannedCase(
    `${TABLES} CREATE TRIGGER one AFTER INSERT ON users WHEN printf('%d', new.id) = '1' BEGIN DELETE FROM audit; END;`,
  );
  onTestFinished(() => one.end());
  expect(one.plan.findings[0]?.summary).toContain("in which some is left to write");
});

const NOTES = `CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT, "by ""whom""" TEXT, search INT);
  INSERT INTO notes VALUES (1, 'b', 'w', 1);`;

it("proposes a tsvector on the table that holds the words, and none of the triggers that fed the index", async () => {
  const { words, fed } = await proposals(`${NOTES}
    CREATE VIRTUAL TABLE words USING fts5(body, "by ""whom""", search UNINDEXED, content='notes', content_rowid='id', tokenize = "porter unicode61 tokenchars '-,'");
    CREATE TRIGGER fed AFTER INSERT ON notes BEGIN INSERT INTO words(rowid, body) VALUES (new.id, new.body); END;`);
  expect(
    words,
  ).toBe(`ALTER TABLE "public"."notes" ADD COLUMN "search_" tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce("body", '') || ' ' || coalesce("by ""whom""", ''))) STORED;
CREATE INDEX ON "public"."notes" USING gin ("search_");
-- In place of MATCH: WHERE "search_" @@ websearch_to_tsquery('english', …)`);
  expect(fed).toBeUndefined();
  const { lost, other } = await proposals(`${NOTES}
    CREATE VIRTUAL TABLE lost USING fts5(nowhere, content='notes'); CREATE VIRTUAL TABLE other USING fts5(body, content='gone');`);
  expect([lost, other]).toEqual([undefined, undefined]);
});

it("proposes a table for words that an index holds alone, and boxes for an rtree", async () => {
  const { own, gone, old, line, area, room } = await proposals(`
    CREATE VIRTUAL TABLE own USING fts5(title, body, lang UNINDEXED);
    CREATE VIRTUAL TABLE gone USING fts5(title, content='');
    CREATE VIRTUAL TABLE old USING fts4(title, lang, notindexed=lang);
    CREATE VIRTUAL TABLE line USING rtree(id, a, b);
    CREATE VIRTUAL TABLE area USING rtree(id, minx, maxx, miny, maxy, +label TEXT);
    CREATE VIRTUAL TABLE room USING rtree(id, a, b, c, d, e, f);`);
  expect(own).toContain(
    `-- Once the migration is finished: before, such a table would end the way back.\nCREATE TABLE "public"."own" (rowid bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "title" text, "body" text, "lang" text, "search" tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce("title", '') || ' ' || coalesce("body", ''))) STORED);`,
  );
  expect(gone).toBeUndefined();
  expect(old).toContain("to_tsvector('simple', coalesce(\"title\", '')))");
  expect(room).toContain("CREATE EXTENSION IF NOT EXISTS cube;");
  expect(line).toContain(`numrange("a"::numeric, "b"::numeric, '[]')`);
  expect(area).toContain(
    '"label" text, "area" box GENERATED ALWAYS AS (box(point("minx", "miny"), point("maxx", "maxy"))) STORED',
  );
  expect(room).toContain('cube(ARRAY["a", "c", "e"], ARRAY["b", "d", "f"])');
});
