import { copyFileSync } from "node:fs";
import { rollbackMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { FrozenFile } from "../../packages/migrate/src/reverse/frozen-file.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

let cluster: TestCluster;
let one: ReverseCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(() => one.end());

const SHOP = `
  CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE);
  CREATE TABLE notes(body TEXT);
  CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes');
  CREATE TRIGGER notes_in AFTER INSERT ON notes BEGIN INSERT INTO notes_fts(rowid, body) VALUES (new.rowid, new.body); END;
  CREATE TRIGGER notes_out AFTER DELETE ON notes BEGIN INSERT INTO notes_fts(notes_fts, rowid, body) VALUES ('delete', old.rowid, old.body); END;
  INSERT INTO users(email) VALUES ('a'), ('b');
  INSERT INTO notes VALUES ('same'), ('same'), ('other');`;

const anew = () => one.follow({ anew: true });

/** What a restore of Postgres to an earlier instant leaves: rows and its knowledge of the file as they were, while the file went on. */
async function setPostgresBack(): Promise<void> {
  await one.query("INSERT INTO users(email) VALUES ('kept')");
  await one.follow();
  await one.query(
    "CREATE TABLE lifeboat.then AS SELECT * FROM lifeboat.followed; INSERT INTO users(email) VALUES ('lost'); INSERT INTO notes VALUES ('lost')",
  );
  await one.follow();
  await one.query(
    `DELETE FROM users WHERE email = 'lost'; DELETE FROM notes WHERE body = 'lost'; DELETE FROM lifeboat.changes; DELETE FROM lifeboat.followed;
     INSERT INTO lifeboat.followed SELECT * FROM lifeboat.then; DROP TABLE lifeboat.then; INSERT INTO notes VALUES ('new')`,
  );
}

/** Postgres knows of the new look already, and the file is as it was. */
async function killedBetweenTheCommits(): Promise<void> {
  using _ = vi.spyOn(FrozenFile.prototype, "commit").mockImplementationOnce(() => {
    throw new Error("killed");
  });
  await expect(anew()).rejects.toThrow("killed");
}

describe("sync --anew makes the way back whole again", () => {
  it("where Postgres was restored to an earlier state; what it lost goes from SQLite too", async () => {
    one = await reverseCase(cluster, SHOP);
    const plan = await one.cutOver();
    await setPostgresBack();
    const setBack = { code: "POSTGRES_SET_BACK", remedy: expect.stringContaining("sync --anew") };
    await expect(one.follow()).rejects.toMatchObject(setBack);
    await killedBetweenTheCommits();
    await expect(one.follow()).rejects.toMatchObject(setBack);
    expect(await anew()).toMatchObject({
      batches: 1,
      tables: expect.arrayContaining([{ name: "notes", changes: 1, written: 4, removed: 4 }]),
    });
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
    await one.query(
      "UPDATE users SET email = 'later' WHERE id = 1; DELETE FROM notes WHERE body = 'same'",
    );
    expect(await one.differencesAfterFollowing()).toEqual([]);
    await rollbackMigration({
      ...{ sqlite: { path: one.path }, postgres: { url: one.url } },
      signal: new AbortController().signal,
    });
    const db = new Database(one.path);
    try {
      expect(db.prepare("SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'lost'").all()).toEqual(
        [],
      );
      db.exec("INSERT INTO notes_fts(notes_fts) VALUES ('integrity-check')");
      const { lastInsertRowid } = db.prepare("INSERT INTO users(email) VALUES ('again')").run();
      expect(lastInsertRowid).toBeGreaterThan(4);
    } finally {
      db.close();
    }
  });

  it("where the file is an older copy, also one of before the freeze, which then takes no writes of the product's", async () => {
    one = await reverseCase(cluster, SHOP);
    const plan = await one.cutOver();
    copyFileSync(one.path, `${one.path}.old`);
    await one.query("INSERT INTO notes VALUES ('first')");
    await one.follow();
    await one.query("INSERT INTO notes VALUES ('second')");
    await one.follow();
    copyFileSync(`${one.path}.old`, one.path);
    const older = { code: "SQLITE_REPLACED", remedy: expect.stringContaining("sync --anew") };
    await expect(one.follow()).rejects.toMatchObject(older);
    await killedBetweenTheCommits();
    await expect(one.follow()).rejects.toMatchObject(older);
    one.sqlite(
      `UPDATE lifeboat_state SET refused = 0;
       DROP TRIGGER lifeboat_refuse_1_INSERT;
       CREATE TRIGGER lifeboat_capture_1_insert AFTER INSERT ON notes BEGIN INSERT INTO lifeboat_log(tbl) VALUES (1); END`,
    );
    await anew();
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
    expect(() => one.sqlite("INSERT INTO notes VALUES ('late')")).toThrow("writes refused");
    const db = new Database(one.path, { readonly: true });
    expect(db.prepare("SELECT count(*) FROM lifeboat_log").pluck().get()).toBe(0);
    db.close();
    expect(await one.differencesAfterFollowing()).toEqual([]);
  });

  it("but never with a file of no migration, or of another", async () => {
    one = await reverseCase(cluster, SHOP);
    copyFileSync(one.path, `${one.path}.before`);
    await one.cutOver();
    one.path = `${one.path}.before`;
    await expect(anew()).rejects.toMatchObject({ code: "SQLITE_REPLACED" });
  });
});
