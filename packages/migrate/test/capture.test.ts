import { execFileSync } from "node:child_process";
import Database from "better-sqlite3";
import { afterEach, describe, expect, it } from "vitest";
import { forgetChanges, waitingChanges } from "../src/capture/change-log.ts";
import { assertAllCapturable, installCapture } from "../src/capture/install-capture.ts";
import { schemaSince } from "../src/capture/schema-watch.ts";
import {
  allowWrites,
  putInForce,
  REFUSAL,
  refusalOf,
  refuseForGood,
  refusesWrites,
  removeTraces,
} from "../src/freeze.ts";
import { planMigration } from "../src/make-plan.ts";
import { isSign, tokensOf } from "../src/sqlite/tokens.ts";
import { type CapturedCase, capturedCase, plannedCase, refuse, schemaOf } from "./captured-case.ts";
import { loggedChanges } from "./logged-changes.ts";

const TABLES = `CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b');
  CREATE TABLE keyless(v); INSERT INTO keyless VALUES (1), (2); CREATE TABLE "it's ""odd"""(k BLOB PRIMARY KEY)`;

let one: CapturedCase;
afterEach(() => one.end());

describe("capture", () => {
  it("is taken away without a trace: the schema is what it was, to the byte", async () => {
    one = await plannedCase(TABLES);
    const before = schemaOf(one.db);
    installCapture(one.db, { plan: one.plan, migration: "one" });
    refuse(one.db);
    expect(schemaOf(one.db).length).toBeGreaterThan(before.length);
    one.db.transaction(() => removeTraces(one.db)).immediate();
    expect(schemaOf(one.db)).toEqual(before);
  });

  it("leaves a product's own table of such a name alone, in the plan as when it goes", async () => {
    one = await capturedCase(`${TABLES}; CREATE TABLE lifeboat_crew(id INTEGER PRIMARY KEY)`);
    expect(one.plan.tables.map((table) => table.name)).toContain("lifeboat_crew");
    removeTraces(one.db);
    expect(one.db.prepare("SELECT count(*) FROM lifeboat_crew").pluck().get()).toBe(0n);
  });

  it("is refused where the product has a table of the log's name, which is planned as any other", async () => {
    one = await plannedCase(`${TABLES}; CREATE TABLE lifeboat_log(id INTEGER PRIMARY KEY)`);
    expect(one.plan.tables.map((table) => table.name)).toContain("lifeboat_log");
    expect(() => installCapture(one.db, { plan: one.plan, migration: "one" })).toThrow(
      expect.objectContaining({ code: "NAME_TAKEN" }),
    );
    removeTraces(one.db);
    expect(one.db.prepare("SELECT count(*) FROM lifeboat_log").pluck().get()).toBe(0n);
  });

  it("is no part of the plan", async () => {
    one = await capturedCase(TABLES);
    const again = await planMigration({
      sqlite: { path: one.path },
      signal: new AbortController().signal,
    });
    expect(again.tables).toEqual(one.plan.tables);
    expect(again.findings).toEqual(one.plan.findings);
  });

  it("stays for the same migration, and is refused to another", async () => {
    one = await capturedCase(TABLES);
    one.db.exec("INSERT INTO t VALUES (3, 'c')");
    installCapture(one.db, { plan: one.plan, migration: "one" });
    expect(waitingChanges(one.db, 0n)).toBe(1);
    expect(() => installCapture(one.db, { plan: one.plan, migration: "two" })).toThrow(
      expect.objectContaining({ code: "CAPTURED_BY_ANOTHER" }),
    );
  });

  it("is refused, and nothing made, where the schema is no longer the plan's", async () => {
    one = await plannedCase(TABLES);
    one.db.exec("ALTER TABLE t ADD COLUMN late");
    const before = schemaOf(one.db);
    expect(() => installCapture(one.db, { plan: one.plan, migration: "one" })).toThrow(
      expect.objectContaining({ code: "SOURCE_CHANGED" }),
    );
    expect(schemaOf(one.db)).toEqual(before);
  });

  it("is refused, and nothing made, for a unique expression whose conflicts can't be told before", async () => {
    one = await plannedCase(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX x ON t(a > 5)",
    );
    // Said by the plan already, and again before anything is begun.
    expect(one.plan.findings).toContainEqual(
      expect.objectContaining({ id: "not-capturable", table: "t", column: "x" }),
    );
    const { db, plan } = one;
    expect(() => assertAllCapturable(db, plan)).toThrow(
      expect.objectContaining({ code: "NOT_CAPTURABLE" }),
    );
    const before = schemaOf(one.db);
    expect(() => installCapture(one.db, { plan: one.plan, migration: "one" })).toThrow(
      expect.objectContaining({ code: "NOT_CAPTURABLE" }),
    );
    expect(schemaOf(one.db)).toEqual(before);
  });

  it("asks nothing of the product's library but functions that any SQLite has", async () => {
    one =
      await capturedCase(`${TABLES}; CREATE TABLE pair(a TEXT COLLATE NOCASE, b INT, c UNIQUE, PRIMARY KEY(a, b)) WITHOUT ROWID;
      CREATE TABLE word(a TEXT PRIMARY KEY, b); CREATE UNIQUE INDEX part ON word(b) WHERE b > 5`);
    refuse(one.db, 5);
    const triggers = one.db
      .prepare<[], string>("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
      .pluck()
      .all();
    expect(triggers.length).toBeGreaterThan(30);
    const called = triggers.flatMap((sql) =>
      tokensOf(sql).filter(
        (token, at, all) =>
          token.kind === "word" && isSign(all[at + 1], "(") && token.text !== "lifeboat_log",
      ),
    );
    const keywords = ["and", "or", "in", "select", "values", "when"];
    const names = new Set(called.map(({ text }) => text.toLowerCase()));
    // In 2004 (version 3.0) all of them were there.
    expect([...names].filter((name) => !keywords.includes(name)).toSorted()).toEqual([
      "julianday",
      "raise",
      "typeof",
    ]);
    expect(triggers.join(" ")).not.toMatch(/->|\bRETURNING\b|\bDISTINCT\b|\bTRUE\b|\bFALSE\b/i);
  });

  it("works under the library of another program", async () => {
    one = await capturedCase(TABLES);
    execFileSync("sqlite3", [
      one.path,
      "REPLACE INTO t VALUES (9, 'a'); DELETE FROM keyless WHERE v = 2",
    ]);
    const { changes } = loggedChanges(one.db, one.plan) ?? {};
    expect(
      changes?.map(({ table, identities }) => [one.plan.tables[table]?.name, identities]),
    ).toEqual([
      ["t", expect.arrayContaining([[1n], [9n]])],
      ["keyless", [[2n]]],
    ]);
  });

  it("never counts below its watermark again, however much is forgotten", async () => {
    one = await capturedCase(TABLES);
    one.db.exec("INSERT INTO t VALUES (3, 'c'), (4, 'd')");
    const through = loggedChanges(one.db, one.plan)?.through ?? 0n;
    forgetChanges(one.db, through);
    expect(one.db.prepare("SELECT count(*) FROM lifeboat_log").pluck().get()).toBe(1n);
    one.db.exec("DELETE FROM t WHERE id = 3");
    expect(loggedChanges(one.db, one.plan, through)).toMatchObject({
      changes: [{ table: 0, identities: [[3n]] }],
    });
  });

  it("tells a VACUUM from a change of the schema, and both from nothing", async () => {
    one = await capturedCase(TABLES);
    one.db.exec("INSERT INTO t VALUES (3, 'c')");
    expect(schemaSince(one.db)).toBe("same");
    one.db.exec("VACUUM");
    expect(schemaSince(one.db)).toBe("renumbered");
    one.db.exec("ALTER TABLE t ADD COLUMN late");
    expect(schemaSince(one.db)).toBe("changed");
  });
});

describe("a frozen database", () => {
  const WRITES = [
    "INSERT INTO t VALUES (7, 'x')",
    "REPLACE INTO t VALUES (1, 'y')",
    "INSERT OR IGNORE INTO t VALUES (8, 'z')",
    "UPDATE t SET a = 'q' WHERE id = 1",
    "DELETE FROM keyless",
  ];

  it("refuses each write of others by name, and takes them again when it is allowed", async () => {
    one = await capturedCase(TABLES);
    refuse(one.db);
    refuse(one.db);
    expect(schemaSince(one.db)).toBe("same");
    const writer = new Database(one.path);
    for (const sql of WRITES)
      expect(() => writer.exec(sql)).toThrow(
        expect.objectContaining({ code: "SQLITE_CONSTRAINT_TRIGGER", message: REFUSAL }),
      );
    expect(waitingChanges(one.db, 0n)).toBe(0);
    allowWrites(one.db);
    for (const sql of WRITES) writer.exec(sql);
    writer.close();
    expect(waitingChanges(one.db, 0n)).toBeGreaterThan(4);
  });

  it("takes each write again, and logs it, once a deadline is over, with nobody there to lift the refusals", async () => {
    one = await capturedCase(TABLES);
    const writer = new Database(one.path);
    const until = Date.now() + 60_000;
    refuse(one.db, until);
    for (const sql of WRITES) expect(() => writer.exec(sql)).toThrow(REFUSAL);
    expect(refusalOf(one.db)).toEqual({ until, isOver: false });
    putInForce(one.db, Date.now() - 1);
    expect(refusalOf(one.db)).toMatchObject({ isOver: true });
    expect(refusesWrites(one.db)).toBe(false);
    for (const sql of WRITES) writer.exec(sql);
    expect(waitingChanges(one.db, 0n)).toBeGreaterThan(4);
    writer.close();
  });

  it("refuses for good only what is refused until that very instant", async () => {
    one = await capturedCase(TABLES);
    refuse(one.db, 5);
    expect(refuseForGood(one.db, 6)).toBe(false);
    expect(refusesWrites(one.db)).toBe(false);
    expect(refuseForGood(one.db, 5)).toBe(true);
    expect(refusalOf(one.db)).toEqual({ until: null, isOver: false });
    allowWrites(one.db);
    expect(refuseForGood(one.db, 5)).toBe(false);
  });

  it("gives refusals of a version that knew no deadline one", async () => {
    one = await capturedCase(TABLES);
    one.db.exec(`ALTER TABLE lifeboat_state DROP COLUMN until;
      CREATE TRIGGER lifeboat_refuse_0_insert BEFORE INSERT ON t
        WHEN (SELECT refused FROM lifeboat_state) BEGIN SELECT RAISE(ABORT, 'earlier'); END;
      UPDATE lifeboat_state SET refused = 1`);
    expect(refusalOf(one.db)).toEqual({ until: null, isOver: false });
    allowWrites(one.db);
    refuse(one.db, Date.now() - 1);
    for (const sql of WRITES) one.db.exec(sql);
  });

  it("lets one transaction write that allows and refuses within itself, and nobody else sees it", async () => {
    one = await capturedCase(TABLES);
    refuse(one.db);
    const other = new Database(one.path, { timeout: 0 });
    one.db.exec("BEGIN IMMEDIATE");
    allowWrites(one.db);
    one.db.exec("INSERT INTO t VALUES (7, 'x')");
    expect(other.prepare("SELECT refused FROM lifeboat_state").pluck().get()).toBe(1);
    one.db.exec("UPDATE lifeboat_state SET refused = 1");
    one.db.exec("COMMIT");
    expect(other.prepare("SELECT a FROM t WHERE id = 7").pluck().get()).toBe("x");
    expect(() => other.exec("DELETE FROM t")).toThrow(REFUSAL);
    other.close();
  });
});
