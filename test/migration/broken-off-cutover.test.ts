import type { StepRunner } from "@lifeboat/core";
import {
  abortMigration,
  type CutoverRequest,
  cutoverMigration,
  finishMigration,
  loadMigration,
  migrationStatus,
  rollbackMigration,
  syncMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
let one: MigrationCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  one = await migrationCase(
    cluster,
    "CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT); CREATE TABLE notes(body TEXT)",
  );
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

/** Ends before the journal is told that all is done. */
const untilTheEnd: StepRunner = async (steps) => {
  for (const step of steps) {
    if (step.title === "close the journal") throw new Error("the runner ends here");
    await step.run(() => {});
  }
};

/** A cutover that loses Postgres once SQLite is frozen. */
async function cutOff(): Promise<void> {
  const run: CutoverRequest["run"] = async (steps) => {
    for (const step of steps) {
      if (step.title === "compare the last rows") await reachable(false);
      await step.run(() => {});
    }
  };
  await expect(cutover({ run })).rejects.toMatchObject({ code: "CUTOVER_HALF_DONE" });
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
    // An abort would let both sides take writes.
    const refused = { code: "NOT_ABORTABLE", kind: "refused" };
    await expect(abortMigration(request())).rejects.toMatchObject(refused);
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
    await cutover();
    expect(await ledger()).toEqual([7]);
  });

  it("lets SQLite go on where Postgres goes away before the switch, and can be run again", async () => {
    await cutOff();
    writeSqlite();
    await reachable(true);
    await cutover();
    expect(await ledger()).toEqual([1]);
  });

  it("takes nothing for Postgres' own that came there from SQLite since, though it had begun to keep changes", async () => {
    await cutOff();
    one.sqlite("INSERT INTO notes VALUES ('in SQLite')");
    await reachable(true);
    await cutover();
    expect((await migrationStatus(request())).waiting).toBe(0);
    expect((await rollbackMigration(request())).rows).toBe(0);
    const db = new Database(one.path, { readonly: true });
    expect(db.prepare("SELECT count(*) FROM notes").pluck().get()).toBe(1);
    db.close();
  });

  it("lets go of SQLite's writers where Postgres does not take the last rows, and can be run again", async () => {
    const locker = new pg.Client(one.url);
    await locker.connect();
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "freeze SQLite") {
          writeSqlite();
          await locker.query("BEGIN; LOCK TABLE ledger IN SHARE MODE");
        }
        await step.run(() => {});
      }
    };
    await expect(cutover({ run })).rejects.toMatchObject({ code: "HELD_TOO_LONG" });
    writeSqlite();
    await locker.end();
    await cutover();
    expect(await ledger()).toEqual([1, 2]);
  });

  it("is not switched once SQLite took a write by itself, whatever became of the clock", async () => {
    let switched = 0;
    const onCutover = async () => void switched++;
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "switch the product to Postgres") {
          const db = new Database(one.path);
          const until = db.prepare("SELECT until FROM lifeboat_state").pluck().get();
          // As if the clock had been set forward for a moment.
          db.exec("UPDATE lifeboat_state SET until = 1");
          writeSqlite();
          db.prepare("UPDATE lifeboat_state SET until = ?").run(until);
          db.close();
          expect(writeSqlite).toThrow("moved to Postgres, writes refused");
        }
        await step.run(() => {});
      }
    };
    await expect(cutover({ run, onCutover })).rejects.toMatchObject({ code: "CUTOVER_TOO_SLOW" });
    expect(await migrationStatus(request())).toMatchObject({
      phase: "loaded",
      refused: false,
      targetRefused: false,
    });
    writeSqlite();
    await cutover({ onCutover });
    expect(switched).toBe(1);
    expect(await ledger()).toEqual([1, 2]);
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
  });

  it("is not switched where a table came to SQLite since the freeze, whose rows would be lost", async () => {
    let switched = 0;
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "switch the product to Postgres")
          one.sqlite("CREATE TABLE later(v); INSERT INTO later VALUES ('kept')");
        await step.run(() => {});
      }
    };
    const onCutover = async () => void switched++;
    await expect(cutover({ run, onCutover })).rejects.toThrow();
    expect(switched).toBe(0);
    writeSqlite();
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });

  it("finds what became of SQLite's schema since its refusals ended by themselves", async () => {
    const killed = async () => {
      one.sqlite("UPDATE lifeboat_state SET refused = 1, until = 1");
      await one.query("UPDATE lifeboat.migrations SET phase = 'cutting-over'");
    };
    one.sqlite("INSERT INTO notes VALUES ('a'), ('b'), ('c')");
    await syncMigration({ ...request(), until: "caught-up" });
    await killed();
    // The rows get other rowids, by which alone they are told apart.
    one.sqlite("DELETE FROM notes WHERE body = 'a'; VACUUM; DELETE FROM notes WHERE body = 'b'");
    await expect(cutover({ backup: () => Promise.reject(new Error("no")) })).rejects.toThrow("no");
    expect(await one.query("SELECT body FROM notes")).toEqual([{ body: "c" }]);
    await killed();
    one.sqlite("CREATE TABLE later(v); INSERT INTO later VALUES ('kept')");
    await expect(cutover()).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    writeSqlite();
  });

  it("is not switched again once it was, since SQLite could not take over any more", async () => {
    await expect(cutover({ run: untilTheEnd })).rejects.toThrow("the runner ends here");
    const ended = new Date().toISOString();
    await writePostgres(8);
    const { movedAt } = await cutover({
      onCutover: () => Promise.reject(new Error("asked again")),
    });
    // Which instants Postgres restores follows from it, so it is not when the second run was.
    expect(movedAt < ended).toBe(true);
    expect((await migrationStatus(request())).phase).toBe("cut-over");
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
    await writePostgres(9);
    expect(await ledger()).toEqual([8, 9]);
  });

  it("tells of a rollback that was broken off in the end when SQLite took writes again", async () => {
    const moved = await cutover();
    await expect(rollbackMigration({ ...request(), run: untilTheEnd })).rejects.toThrow(
      "the runner ends here",
    );
    const ended = new Date().toISOString();
    const { movedAt } = await rollbackMigration(request());
    expect(movedAt > moved.movedAt && movedAt < ended).toBe(true);
  });

  it("lets Postgres take writes where the way back was killed once SQLite took them again", async () => {
    const onCutover = () => Promise.reject(new Error("no worker answered"));
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "SWITCH_FAILED" });
    // Between SQLite's commit and that of the journal.
    await one.query(
      `UPDATE lifeboat.migrations SET phase = 'cutting-over',
         details = (details::jsonb - 'targetRefused' || '{"switching": true}')::json`,
    );
    writeSqlite();
    await cutover({ onCutover: async () => void (await writePostgres(50)) });
    expect(await ledger()).toEqual([1, 50]);
    expect(writeSqlite).toThrow("moved to Postgres, writes refused");
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
    const { phase, refused, targetRefused, findings } = await migrationStatus(request());
    expect([phase, refused, targetRefused]).toEqual(["loaded", false, true]);
    expect(findings).toMatchObject([
      {
        id: "postgres-refuses-writes",
        severity: "warning",
        summary: expect.stringMatching(/back to SQLite; .* migrate cutover .* migrate abort/),
      },
    ]);
    await abortMigration(request());
    await writePostgres(41);
    expect(await ledger()).toEqual([41]);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
  });
});

describe("an abort after a cutover that could not be given back", () => {
  it("takes away what Postgres had begun to keep for the way back", async () => {
    await cutOff();
    await reachable(true);
    // Killed just before the point of no return: the journal says more than has happened.
    await one.query(
      `UPDATE lifeboat.migrations SET details = (details::jsonb || '{"switching": true}')::json`,
    );
    one.sqlite("UPDATE lifeboat_state SET refused = 1, until = 1");
    expect(await abortMigration(request())).toMatchObject({ findings: [] });
    expect(await one.query("SELECT 1 FROM pg_trigger WHERE tgname LIKE 'lifeboat%'")).toEqual([]);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
    await writePostgres(42);
  });
});

describe("a table that somebody reads all the time", () => {
  const reader = async () => {
    const client = new pg.Client(one.url);
    await client.connect();
    const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
    await client.query("BEGIN");
    await client.query("SELECT * FROM notes");
    return { pid: rows[0]?.pid as number, end: () => client.end() };
  };

  it("keeps an abort from beginning: it names the lock, has changed nothing, and is run again", async () => {
    const { pid, end } = await reader();
    await expect(abortMigration({ ...request(), patienceSeconds: 1 })).rejects.toMatchObject({
      code: "TABLES_IN_USE",
      message: expect.stringContaining(
        `process ${pid} of lifeboat holds AccessShareLock on public.notes`,
      ),
      remedy: expect.stringContaining(`select pg_terminate_backend(${pid})`),
    });
    const { phase, captured } = await migrationStatus(request());
    expect([phase, captured]).toEqual(["loaded", true]);
    await end();
    await abortMigration(request());
    expect((await migrationStatus(request())).phase).toBe("none");
    expect(
      await one.query("SELECT attname FROM pg_attribute WHERE attname LIKE 'lifeboat%'"),
    ).toEqual([]);
  });

  it("keeps no cutover from being given back, nor from being done then", async () => {
    const client = new pg.Client(one.url);
    await client.connect();
    const failing = async () => {
      await client.query("BEGIN; SELECT * FROM ledger");
      await writePostgres(70);
      throw new Error("half of the workers did not answer");
    };
    await expect(cutover({ onCutover: failing })).rejects.toMatchObject({ code: "SWITCH_FAILED" });
    expect((await migrationStatus(request())).phase).toBe("loaded");
    writeSqlite();
    await expect(writePostgres(72)).rejects.toThrow("moved back to SQLite");
    await cutover({ onCutover: async () => void (await writePostgres(73)) });
    expect((await migrationStatus(request())).targetRefused).toBe(false);
    await client.end();
    expect((await rollbackMigration(request())).rows).toBe(1);
    expect(await ledger()).toEqual([70, 71, 73]);
    await finishMigration(request());
    expect(await one.query("SELECT 1 FROM pg_trigger WHERE tgname LIKE 'lifeboat%'")).toEqual([]);
  });

  it("makes a finish wait for the moment that it is let go of", async () => {
    await cutover();
    await rollbackMigration(request());
    const { end } = await reader();
    const finish = finishMigration(request());
    const waits = () =>
      one.query("SELECT 1 FROM pg_locks WHERE relation = 'notes'::regclass AND NOT granted");
    await expect.poll(waits).toHaveLength(1);
    await end();
    expect(await finish).toMatchObject({ live: "sqlite" });
  });
});

describe("two runs at once", () => {
  it("while the product is switched no other verb comes between", async () => {
    const locked = { code: "LOCKED", kind: "locked" };
    const onCutover = () => expect(abortMigration(request())).rejects.toMatchObject(locked);
    await cutover({ onCutover });
    await writePostgres(60);
    const onRollback = () => expect(finishMigration(request())).rejects.toMatchObject(locked);
    await rollbackMigration({ ...request(), onRollback });
    expect((await migrationStatus(request())).phase).toBe("rolled-back");
    writeSqlite();
  });

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

  it("of a rollback, of which one was killed once SQLite took writes, leave the other nothing but the end", async () => {
    await cutover();
    const other = new pg.Client(one.url);
    await other.connect();
    const lock = () => other.query("SELECT pg_advisory_lock(5497853339122026)");
    const unlock = () => other.query("SELECT pg_advisory_unlock_all()");
    const phase = async () => (await one.query("SELECT phase FROM lifeboat.migrations"))[0]?.phase;
    const waiting = async (meanwhile: (stop: AbortController) => void) => {
      await lock();
      const stop = new AbortController();
      const ended = Promise.allSettled([rollbackMigration({ ...request(), signal: stop.signal })]);
      await expect.poll(phase, PATIENCE).toBe("rolling-back");
      meanwhile(stop);
      await unlock();
      return (await ended)[0];
    };
    const stopped = await waiting((stop) => stop.abort(new Error("stopped by hand")));
    expect(stopped).toMatchObject({ status: "rejected" });
    expect(await phase()).toBe("cut-over");
    const later = await waiting(() => one.sqlite("UPDATE lifeboat_state SET refused = 0"));
    expect(later).toMatchObject({ status: "fulfilled", value: { holdSeconds: 0 } });
    expect(await phase()).toBe("rolled-back");
    await other.end();
  });

  it("of a rollback take it back once", async () => {
    await cutover();
    await writePostgres(30);
    let switched = 0;
    const onRollback = async () => void switched++;
    const rollback = () => rollbackMigration({ ...request(), onRollback });
    await Promise.all([rollback(), rollback()]);
    expect(switched).toBe(1);
    expect(await migrationStatus(request())).toMatchObject({
      targetRefused: true,
      findings: [{ id: "postgres-refuses-writes", severity: "info" }],
    });
    writeSqlite();
    await expect(writePostgres(31)).rejects.toThrow("moved back to SQLite");
  });
});
