import { copyFileSync } from "node:fs";
import {
  type MigrationPlan,
  type PlannedTable,
  type VerifyReport,
  verifyMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { FrozenSides } from "../../packages/migrate/src/reverse/frozen-sides.ts";
import { defineFunctions } from "../../packages/migrate/src/sqlite/define-functions.ts";
import { currentMigration } from "../../packages/migrate/src/target/journal.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { told } from "./live-case.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

let cluster: TestCluster;
let one: ReverseCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(() => one.end());

const SHOP = `
  CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, upper_email TEXT AS (upper(email)) STORED);
  CREATE TABLE codes(code TEXT, part BLOB, body TEXT, PRIMARY KEY (code, part)) WITHOUT ROWID;
  CREATE TABLE notes(body TEXT, weight REAL, loud TEXT AS (upper(body)) STORED);
  CREATE INDEX notes_body ON notes(body);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    INSERT INTO users SELECT i, 'user ' || i FROM n;
  INSERT INTO codes SELECT 'code ' || id, CAST('part ' || id AS BLOB), NULL FROM users;
  INSERT INTO notes(body, weight) SELECT 'note ' || (id % 300), id % 7 / 4.0 FROM users;`;

/** So short that a test need not wait where no sync runs. */
const LITTLE_PATIENCE = { total: 1000, idle: 100 };
const MUCH_PATIENCE = { total: PATIENCE.timeout, idle: PATIENCE.timeout };

function verify(patience = LITTLE_PATIENCE): Promise<VerifyReport> {
  const signal = new AbortController().signal;
  return verifyMigration({
    ...{ sqlite: { path: one.path }, postgres: { url: one.url } },
    ...{ signal, patience },
  });
}

const results = ({ tables }: VerifyReport) =>
  tables.map(({ name, equal, differing, inFlight }) => [name, equal, differing, inFlight]);

/** Writes to SQLite as nothing of the product's can any more. */
const unseen = (sql: string) =>
  one.sqlite(
    `UPDATE lifeboat_state SET refused = 0; ${sql}; UPDATE lifeboat_state SET refused = 1`,
  );

/** Writes to Postgres, and takes it from the log. */
const unlogged = (sql: string) =>
  one.query(
    `CREATE TEMP TABLE before AS SELECT xid FROM lifeboat.changes; ${sql}; DELETE FROM lifeboat.changes WHERE xid NOT IN (SELECT xid FROM before)`,
  );

/** Lets the product write by two connections, and a sync follow, while `work` goes on. */
async function underWrites(work: () => Promise<void>): Promise<number> {
  const clients = [await one.client(), await one.client()];
  let isOver = false;
  let written = 0;
  const write = async (client: pg.Client, base: number) => {
    for (let at = 0; !isOver; at++, written++) {
      const id = ((at * 37 + base) % 1000) + 1;
      await client.query(
        `BEGIN; INSERT INTO users(email) VALUES ('new ${base} ${at}'); UPDATE users SET email = email || '.' WHERE id = ${id};
         UPDATE codes SET code = 'moved ${base} ${at}' WHERE code = 'code ${id}'; DELETE FROM codes WHERE code = 'moved ${base} ${at - 9}';
         INSERT INTO notes VALUES ('note ${id % 300}', 1.5); DELETE FROM notes WHERE ctid = (SELECT ctid FROM notes WHERE body = 'note ${at % 250}' LIMIT 1 FOR UPDATE SKIP LOCKED); COMMIT`,
      );
    }
  };
  const follow = async () => {
    while (!isOver) await one.follow();
  };
  const running = Promise.all([follow(), ...clients.map((client, at) => write(client, at * 1000))]);
  try {
    await Promise.race([work(), running.then(() => Promise.reject(new Error("ended")))]);
  } finally {
    isOver = true;
    await running;
  }
  return written;
}

describe("verify after the cutover", () => {
  it("finds nothing where nothing differs, at every one of many runs while the product writes and a sync follows", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const written = await underWrites(async () => {
      for (let run = 0; run < 3; run++) {
        const report = await verify(MUCH_PATIENCE);
        expect(report.findings).toEqual([]);
        expect(report).toMatchObject({
          ...{ ok: true, direction: "postgres-to-sqlite", inFlight: 0 },
          tables: [{ equal: true }, { equal: true }, { equal: true }],
        });
      }
    });
    expect(written).toBeGreaterThan(10);
  });

  it("names rows that were changed by hand on either side, beside those that a sync still brings", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    await unlogged(
      "UPDATE users SET email = 'other' WHERE id = 17; DELETE FROM codes WHERE code = 'code 18'; INSERT INTO notes VALUES ('only there', 1)",
    );
    unseen(
      "DELETE FROM users WHERE id = 19; UPDATE codes SET body = 'x' WHERE code = 'code 20'; INSERT INTO notes VALUES ('only here', 1)",
    );
    await one.query(
      "UPDATE users SET email = 'logged' WHERE id = 21; UPDATE codes SET part = '\\x00' WHERE code = 'code 22'; INSERT INTO notes VALUES ('logged', 1)",
    );
    const report = await verify();
    expect(report).toMatchObject({ ok: false, inFlight: 4, verifiedAt: null });
    expect(results(report)).toEqual([
      ["users", false, 2, 1],
      ["codes", false, 2, 2],
      ["notes", false, 2, 1],
    ]);
    const [users, codes, notes] = report.tables.map(({ differences }) => new Set(differences));
    expect(users).toEqual(
      new Set([
        { key: "17", kind: "different", columns: ["email", "upper_email"] },
        { key: "19", kind: "missing-in-sqlite", columns: [] },
      ]),
    );
    expect(codes).toMatchObject(
      new Set([
        expect.objectContaining({ kind: "missing-in-postgres" }),
        expect.objectContaining({ kind: "different", columns: ["body"] }),
      ]),
    );
    expect([...(notes ?? [])].map(({ kind }) => kind).sort()).toEqual([
      "missing-in-postgres",
      "missing-in-sqlite",
    ]);
  });

  it("counts what no sync has brought yet as in flight, and a rollback would bring; also of a transaction that commits late", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const late = await one.client();
    await late.query("BEGIN; UPDATE users SET email = 'late' WHERE id = 1");
    await one.query(
      "DELETE FROM users WHERE id = 2; INSERT INTO users(email) VALUES ('new'); DELETE FROM notes WHERE body = 'note 1'; INSERT INTO notes VALUES ('twice', 1), ('twice', 1)",
    );
    const report = await verify();
    expect(report).toMatchObject({ ok: true, inFlight: 8, verifiedAt: expect.any(String) });
    expect(told(report)).toEqual([
      {
        id: "rows-in-flight",
        severity: "info",
        table: "users",
        count: 2,
        sample: expect.any(Array),
      },
      { id: "rows-in-flight", severity: "info", table: "notes", count: 6, sample: [] },
    ]);
    expect(report.findings[0]?.summary).toContain("written to Postgres and are not in SQLite");
    await late.query("COMMIT");
    expect((await verify()).tables[0]).toMatchObject({ equal: true, inFlight: 3 });
    await one.follow();
    expect(await verify()).toMatchObject({ ok: true, findings: [], inFlight: 0 });
  });

  it("proves nothing of a table that was emptied or written anew as a whole, until a sync has brought it", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const inFlight = async () => told(await verify());
    await one.query("TRUNCATE notes; INSERT INTO notes VALUES ('fresh', 1)");
    const emptied = [{ id: "table-in-flight", severity: "warning", table: "notes" }];
    expect(await inFlight()).toMatchObject(emptied);
    await one.follow();
    await one.query("ALTER TABLE codes ALTER body TYPE text USING code || '!'");
    const rewritten = [{ id: "rows-in-flight", severity: "info", table: "codes", count: 1000 }];
    expect(await inFlight()).toMatchObject(rewritten);
    await one.follow();
    expect(await verify()).toMatchObject({ ok: true, findings: [], inFlight: 0 });
  });

  it("tells what ends the way back, and as a warning what the product has changed for itself", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    await one.query(
      "DROP INDEX notes_body; ALTER TABLE notes ADD more text; ALTER TABLE users ALTER upper_email DROP EXPRESSION, ALTER id RESTART WITH 5, ALTER email SET DEFAULT '?'",
    );
    one.sqlite("CREATE TABLE late(x)");
    const report = await verify();
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ id, severity, table }) => [id, severity, table])).toEqual(
      expect.arrayContaining([
        ["column-not-in-sqlite", "error", "notes"],
        ["sequence-differs", "error", "users"],
        ["index-differs", "warning", "notes"],
        ["column-differs", "warning", "users"],
        ["table-not-loaded", "error", "late"],
      ]),
    );
    await one.query("DROP TABLE users");
    expect((await verify()).findings).toContainEqual(
      expect.objectContaining({ id: "table-missing", severity: "error", table: "users" }),
    );
  });

  it("compares only with the file that was frozen and follows, and says so where it takes writes", async () => {
    one = await reverseCase(cluster, SHOP);
    await one.cutOver();
    const older = `${one.path}.older`;
    copyFileSync(one.path, older);
    for (const sql of ["DELETE FROM notes WHERE body = 'note 1'", "DELETE FROM users"]) {
      await one.query(sql);
      await one.follow();
    }
    one.sqlite("UPDATE lifeboat_state SET refused = 0");
    expect(told(await verify())).toMatchObject([{ id: "refusal-missing", severity: "error" }]);
    one.path = older;
    await expect(verify()).rejects.toMatchObject({
      code: "SQLITE_REPLACED",
      message: expect.stringContaining("older copy"),
    });
    one.sqlite("UPDATE lifeboat_state SET migration = 'another'");
    await expect(verify()).rejects.toMatchObject({ code: "SQLITE_REPLACED" });
  });
});

describe("one look at both sides after the cutover", () => {
  async function sides(): Promise<{ sides: FrozenSides; client: pg.Client; plan: MigrationPlan }> {
    const plan = await one.cutOver();
    const client = await one.client();
    const entry = await currentMigration(client);
    if (!entry) throw new Error("not cut over");
    const db = new Database(one.path, { readonly: true });
    onTestFinished(() => void db.close());
    db.defaultSafeIntegers(true);
    defineFunctions(db);
    const { signal } = new AbortController();
    return { sides: new FrozenSides(db, client, entry, signal), client, plan };
  }

  it("is taken anew where a sync has brought several batches between both snapshots", async () => {
    one = await reverseCase(cluster, SHOP);
    const { sides: both, client } = await sides();
    const query = client.query.bind(client);
    using spied = vi.spyOn(client, "query");
    const begun: unknown[] = [];
    spied.mockImplementation((async (sql: string, values: unknown[]) => {
      if (sql.startsWith("BEGIN") && begun.push(sql) % 2 === 1)
        for (const id of [1, 2, 3]) {
          await one.query(`DELETE FROM users WHERE id = ${id + 3 * begun.length}`);
          await one.follow();
        }
      return query(sql, values);
    }) as never);
    expect(await both.look(async () => both.batch)).toBe(3n);
    expect(await both.look(async () => both.batch)).toBe(6n);
    expect(begun).toHaveLength(4);
  });

  it("keeps each table from being emptied until it is over", async () => {
    one = await reverseCase(cluster, SHOP);
    const { sides: both } = await sides();
    const empty = () => one.query("SET lock_timeout = 1; TRUNCATE notes");
    await empty();
    await both.look(async () => {
      await expect(empty()).rejects.toMatchObject({ code: "55P03" });
    });
  });

  it("is begun anew where somebody holds a table, and not once a rollback is at work", async () => {
    one = await reverseCase(cluster, SHOP);
    const { sides: both, client } = await sides();
    const holder = await one.client();
    await holder.query("BEGIN; LOCK TABLE notes");
    const query = client.query.bind(client);
    using spied = vi.spyOn(client, "query");
    const begun: unknown[] = [];
    spied.mockImplementation((async (sql: string, values: unknown[]) => {
      if (sql.startsWith("BEGIN") && begun.push(sql) === 2) await holder.query("COMMIT");
      return query(sql, values);
    }) as never);
    await both.look(async () => undefined);
    expect(begun).toHaveLength(2);
    await one.query("UPDATE lifeboat.migrations SET phase = 'rolling-back'");
    const gone = { code: "NOT_LOADED", details: { phase: "rolling-back" } };
    await expect(both.look(async () => undefined)).rejects.toMatchObject(gone);
  });

  it("takes a row for written only as long as the file does not hold it", async () => {
    one = await reverseCase(cluster, SHOP);
    const { sides: both, plan } = await sides();
    const users = plan.tables.find(({ name }) => name === "users") as PlannedTable;
    const written = () =>
      both.look(async ({ inSqlite }) =>
        inSqlite((since) => [...since.among(users, ["V1", "V2", "V3"])].sort()),
      );
    await one.query("DELETE FROM users WHERE id = 1");
    expect(await written()).toEqual(["V1"]);
    await one.query("DELETE FROM users WHERE id = 2");
    const broken = new Error("broken off");
    await expect(both.look(() => Promise.reject(broken))).rejects.toBe(broken);
    expect(await written()).toEqual(["V1", "V2"]);
    await one.follow();
    expect(await written()).toEqual([]);
    await one.query("DELETE FROM users WHERE id = 3");
    expect(await written()).toEqual(["V3"]);
  });
});
