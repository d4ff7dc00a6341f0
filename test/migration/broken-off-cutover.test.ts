import {
  abortMigration,
  type CutoverRequest,
  cutoverMigration,
  loadMigration,
  migrationStatus,
  rollbackMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
let one: MigrationCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  one = await migrationCase(cluster, "CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT)");
  await loadMigration({ ...request(), live: true });
});
afterEach(() => one.end());

const request = () => ({
  sqlite: { path: one.path },
  postgres: { url: one.url },
  signal: new AbortController().signal,
});
const cutover = (more: Partial<CutoverRequest> = {}) => cutoverMigration({ ...request(), ...more });
const writeSqlite = () => one.sqlite("INSERT INTO ledger(body) VALUES ('in SQLite')");
const writePostgres = (seq: number) =>
  one.query(`INSERT INTO ledger VALUES (${seq}, 'in Postgres')`);
const ledger = async () =>
  (await one.query<{ seq: string }>("SELECT seq FROM ledger ORDER BY seq")).map(({ seq }) =>
    Number(seq),
  );

/** Lets nobody into the target's database, or everybody again. */
async function reachable(may: boolean): Promise<void> {
  const database = new URL(one.url).pathname.slice(1);
  await cluster.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS ${may}`, "postgres");
  if (may) return;
  await cluster.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
    "postgres",
  );
}

describe("a cutover that is broken off", () => {
  it("keeps SQLite frozen where Postgres goes away in a switch that fails: the product may have written there", async () => {
    const onCutover = async () => {
      await writePostgres(7);
      await reachable(false);
      throw new Error("half of the workers did not answer");
    };
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "CUTOVER_HALF_DONE" });
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
    await reachable(true);
    await cutover();
    expect(await ledger()).toEqual([7]);
  });

  it("lets SQLite go on where Postgres goes away before the switch, and can be run again", async () => {
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "compare the last rows") await reachable(false);
        await step.run(() => {});
      }
    };
    await expect(cutover({ run })).rejects.toMatchObject({ code: "CUTOVER_HALF_DONE" });
    writeSqlite();
    await reachable(true);
    await cutover();
    expect(await ledger()).toEqual([1]);
  });

  it("is not switched again once it was, since SQLite could not take over any more", async () => {
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "close the journal") throw new Error("the runner ends here");
        await step.run(() => {});
      }
    };
    await expect(cutover({ run })).rejects.toThrow("the runner ends here");
    await writePostgres(8);
    await cutover({ onCutover: () => Promise.reject(new Error("asked again")) });
    expect((await migrationStatus(request())).phase).toBe("cut-over");
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
    await writePostgres(9);
    expect(await ledger()).toEqual([8, 9]);
  });

  it("lets Postgres take writes where an earlier run had begun to take them from it", async () => {
    const holder = new Database(one.path);
    const onCutover = async () => {
      await writePostgres(10);
      // What was written there can't be brought back meanwhile.
      holder.exec("BEGIN IMMEDIATE");
      throw new Error("half of the workers did not answer");
    };
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "CUTOVER_HALF_DONE" });
    holder.exec("ROLLBACK");
    holder.close();
    await expect(writePostgres(11)).rejects.toThrow("moved back to SQLite");
    await cutover({ onCutover: async () => void (await writePostgres(12)) });
    await rollbackMigration(request());
    expect(writeSqlite).not.toThrow();
    expect(await ledger()).toEqual([10, 12]);
  });
});

describe("an abort after a cutover that was given back", () => {
  it("leaves the loaded tables to whoever wants to write there", async () => {
    const onCutover = () => Promise.reject(new Error("no worker answered"));
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "SWITCH_FAILED" });
    await expect(writePostgres(40)).rejects.toThrow("moved back to SQLite");
    await abortMigration(request());
    await writePostgres(41);
    expect(await ledger()).toEqual([41]);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
  });
});

describe("two runs at once", () => {
  it("of a cutover move the product once", async () => {
    let switched = 0;
    const onCutover = async () => {
      switched++;
      await writePostgres(20);
    };
    const runs = await Promise.allSettled([cutover({ onCutover }), cutover({ onCutover })]);
    expect(runs.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(switched).toBe(1);
    const { phase, refused } = await migrationStatus(request());
    expect([phase, refused]).toEqual(["cut-over", true]);
    await writePostgres(21);
    expect(await ledger()).toEqual([20, 21]);
  });

  it("of a rollback take it back once", async () => {
    await cutover();
    await writePostgres(30);
    let switched = 0;
    const onRollback = async () => void switched++;
    const rollback = () => rollbackMigration({ ...request(), onRollback });
    await Promise.all([rollback(), rollback()]);
    expect(switched).toBe(1);
    writeSqlite();
    await expect(writePostgres(31)).rejects.toThrow("moved back to SQLite");
  });
});
