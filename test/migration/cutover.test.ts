import { copyFile, rename, rm } from "node:fs/promises";
import {
  abortMigration,
  type CutoverRequest,
  cutoverMigration,
  finishMigration,
  loadMigration,
  type MigrationPlan,
  migrationStatus,
  rollbackMigration,
  syncMigration,
  verifyMigration,
} from "@lifeboat/migrate";
import { leastPrivilegeScript } from "@lifeboat/postgres";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectTarget } from "../../packages/migrate/src/target/connect.ts";
import { takeTargetLockOver } from "../../packages/migrate/src/target/lock.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { LIVE_SCHEMA, type LiveWriter, startLiveWriter } from "./cutover-case.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const undrilled = {
  drill: async () => ({ ok: false, message: "no drill yet", remedy: "run lifeboat drill" }),
};

describe("a cutover", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  let plan: MigrationPlan;
  let before: unknown[];
  const writers: LiveWriter[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(cluster, LIVE_SCHEMA);
    plan = await one.plan();
    before = schemaOf(one.path);
  });
  afterEach(async () => {
    for (const writer of writers.splice(0)) await writer.kill();
    await one.end();
  });

  const request = () => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
  });
  const load = () => loadMigration({ ...request(), live: true });
  const cutover = (more: Partial<CutoverRequest> = {}) =>
    cutoverMigration({ ...request(), ...more });
  async function write(): Promise<LiveWriter> {
    const writer = await startLiveWriter(one);
    writers.push(writer);
    return writer;
  }
  async function differences(): Promise<string[]> {
    return (await compareIndependently(one.path, one.url, plan)).differences;
  }
  async function ledger(): Promise<number[]> {
    const rows = await one.query<{ seq: string }>(
      "SELECT seq FROM ledger WHERE seq > 0 ORDER BY seq",
    );
    return rows.map(({ seq }) => Number(seq));
  }
  const acknowledged = (...all: LiveWriter[]) =>
    all.flatMap((writer) => writer.acknowledged()).toSorted((a, b) => a - b);

  it("moves a product that two processes write to, refuses late writes and loses none", async () => {
    const both = [await write(), await write()];
    await load();
    let live = "sqlite";
    const report = await cutover({
      onCutover: async () => {
        live = "postgres";
      },
    });
    expect(live).toBe("postgres");
    expect(report.holdSeconds).toBeGreaterThan(0);
    for (const writer of both)
      expect(await writer.refused).toBe("lifeboat: moved to Postgres, writes refused");
    expect(await ledger()).toEqual(acknowledged(...both));
    expect(await differences()).toEqual([]);
    expect((await migrationStatus(request())).phase).toBe("cut-over");
    const [next] = await one.query<{ id: string }>(
      "INSERT INTO accounts(email) VALUES ('after@x') RETURNING id",
    );
    const [highest] = await one.query<{ id: string }>(
      "SELECT max(id) AS id FROM accounts WHERE email <> 'after@x'",
    );
    expect(Number(next?.id)).toBeGreaterThan(Number(highest?.id));
  });

  it("leads back with all that Postgres took, and ends without a trace", async () => {
    const writer = await write();
    await load();
    await cutover();
    await writer.refused;
    await one.query(
      "INSERT INTO ledger(seq, body) VALUES (77, 'in Postgres'); DELETE FROM notes; INSERT INTO notes VALUES ('n', NULL)",
    );
    await rollbackMigration(request());
    expect(await differences()).toEqual([]);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (78, 'in SQLite again')");
    await finishMigration(request());
    expect(schemaOf(one.path)).toEqual(before);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
    expect(await keptColumns()).toEqual([]);
  });

  it("refuses every kind of late write on the side that was left", async () => {
    await load();
    await cutover();
    const moved = "lifeboat: moved to Postgres, writes refused";
    for (const write of [
      "INSERT INTO ledger(seq, body) VALUES (1, 'late')",
      "UPDATE ledger SET body = 'late' WHERE seq = -1",
      "DELETE FROM ledger WHERE seq = -1",
      "INSERT OR REPLACE INTO pairs VALUES (1, 1, 'late')",
      "UPDATE notes SET tag = NULL",
    ])
      expect(() => one.sqlite(write), write).toThrow(moved);
    await rollbackMigration(request());
    for (const write of [
      "INSERT INTO ledger VALUES (1, 'late')",
      "UPDATE ledger SET body = 'late' WHERE seq = -1",
      "DELETE FROM ledger WHERE seq = -1",
      "TRUNCATE notes",
      "MERGE INTO pairs USING (SELECT 1 AS a) AS s ON pairs.a = s.a WHEN NOT MATCHED THEN INSERT VALUES (1, 1, 'late')",
    ])
      await expect(one.query(write), write).rejects.toThrow("moved back to SQLite");
    const asReplica = "SET session_replication_role = replica; DELETE FROM ledger";
    const database = new URL(one.url).pathname.slice(1);
    await expect(cluster.query(asReplica, database)).rejects.toThrow("moved back to SQLite");
    expect(await differences()).toEqual([]);
    one.sqlite("UPDATE ledger SET body = 'in SQLite again' WHERE seq = -1");
  });

  it("is done once, however often it is run", async () => {
    await load();
    one.sqlite(
      "INSERT INTO accounts(id, email) VALUES (900, 'x'); DELETE FROM accounts WHERE id = 900",
    );
    await cutover();
    // AUTOINCREMENT never gives an id out again, and no more does Postgres.
    expect(await one.query("INSERT INTO accounts(email) VALUES ('y') RETURNING id")).toEqual([
      { id: "901" },
    ]);
    let switched = 0;
    const again = await cutover({ onCutover: async () => void switched++ });
    expect([again.rows, switched]).toEqual([0, 0]);
  });

  it("takes over from a sync that runs", async () => {
    await load();
    const writer = await write();
    const sync = syncMigration(request());
    while ((await ledger()).length < 20) await new Promise((done) => setTimeout(done, 20));
    await cutover();
    const { rows, waiting } = await sync;
    expect(rows).toBeGreaterThan(0);
    expect(waiting).toBe(0);
    await writer.refused;
    expect(await ledger()).toEqual(acknowledged(writer));
  });

  it("gives a sync that it took over from its work back where it is refused", async () => {
    await load();
    const writer = await write();
    const sync = syncMigration(request());
    while ((await ledger()).length < 20) await new Promise((done) => setTimeout(done, 20));
    await expect(cutover({ gates: undrilled })).rejects.toMatchObject({ code: "GATE_NOT_MET" });
    const then = (await ledger()).length;
    await expect.poll(async () => (await ledger()).length, PATIENCE).toBeGreaterThan(then + 20);
    await cutover();
    await sync;
    await writer.refused;
    expect(await ledger()).toEqual(acknowledged(writer));
  });

  it("is refused while a gate is not met, and the product writes on", async () => {
    const writer = await write();
    await load();
    const gates = undrilled;
    await expect(cutover({ gates })).rejects.toMatchObject({
      code: "GATE_NOT_MET",
      kind: "refused",
      message: "gate drill: no drill yet",
    });
    expect((await migrationStatus(request())).phase).toBe("loaded");
    expect(await foreignKeys()).toEqual([{ conname: "orders_account_fkey", convalidated: true }]);
    const { gates: found } = await cutover({ gates, skip: ["drill"] });
    expect(found.map(({ name, ok, skipped }) => [name, ok, skipped])).toEqual([
      ["lag", true, false],
      ["verified", true, false],
      ["drill", false, true],
    ]);
    await writer.refused;
    expect(await ledger()).toEqual(acknowledged(writer));
  });

  it("is refused while more changes wait than a product can wait for, which it first tries to bring", async () => {
    await load();
    const rows = (count: number) =>
      one.sqlite(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
         INSERT INTO ledger(body) SELECT 'more' FROM n`,
      );
    // As a product that writes as fast as Postgres takes it.
    const writing =
      (count: number): NonNullable<CutoverRequest["run"]> =>
      async (steps) => {
        for (const step of steps)
          await step.run(({ note }) => {
            if (step.title === "check the gates" && /^\d+ rows$/.test(note ?? "")) rows(count);
          });
      };
    rows(2001);
    await expect(cutover({ run: writing(2001) })).rejects.toMatchObject({
      code: "GATE_NOT_MET",
      message: "gate lag: Postgres came within 2001 changes of SQLite",
    });
    await cutover();
    expect(await differences()).toEqual([]);
  });

  it("is refused where both sides were not found equal lately", async () => {
    await load();
    for (const [verifiedAt, message] of [
      ["2020-01-01T00:00:00.000Z", "gate verified: both sides were found equal at 2020-01-01"],
      [null, "gate verified: both sides were not found equal yet"],
    ] as const) {
      const noted = JSON.stringify({ verifiedAt });
      await one.query(
        `UPDATE lifeboat.migrations SET details = (details::jsonb || '${noted}'::jsonb)::json`,
      );
      await expect(cutover()).rejects.toMatchObject({
        code: "GATE_NOT_MET",
        message: expect.stringContaining(message),
      });
    }
    await verifyMigration(request());
    await cutover();
  });

  it("takes a backup of each side first, while the product writes, and does not go on without", async () => {
    await load();
    const steps: string[] = [];
    const run: CutoverRequest["run"] = async (all) => {
      for (const step of all) {
        steps.push(step.title);
        await step.run(() => {});
      }
    };
    const taken: string[] = [];
    const backup = async (engine: string) => {
      one.sqlite(`INSERT INTO ledger(seq, body) VALUES (${taken.push(engine)}, 'meanwhile')`);
      if (engine === "postgres" && taken.length === 2) throw new Error("the repository is full");
      return `${engine}-${taken.length}`;
    };
    await expect(cutover({ backup, run })).rejects.toThrow("the repository is full");
    expect([taken, steps.at(-1)]).toEqual([["sqlite", "postgres"], "back up Postgres"]);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (100, 'writes on')");
    expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", refused: false });
    const { backups } = await cutover({ backup });
    expect(backups).toEqual(["sqlite-3", "postgres-4"]);
    expect(await ledger()).toEqual([1, 2, 3, 4, 100]);
  });

  it("ends with its reason where it is stopped while a backup is taken, or the product switched, which are ended too", async () => {
    await load();
    for (const hook of ["backup", "onCutover"]) {
      const stop = new AbortController();
      const reason = new Error("stopped by SIGINT");
      const endless = (signal: AbortSignal) =>
        new Promise<never>((_, reject) => {
          signal.addEventListener("abort", () =>
            reject(hook === "backup" ? (signal.reason as Error) : new Error("it was ended")),
          );
          stop.abort(reason);
        });
      const backup = (_: string, signal: AbortSignal) => endless(signal);
      const hooks = hook === "backup" ? { backup } : { onCutover: endless };
      const stopped = cutover({ ...hooks, signal: stop.signal, budgetSeconds: 3600 });
      await expect(stopped).rejects.toBe(reason);
    }
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'after it')");
    expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", refused: false });
  });

  it("leaves the journal as it was where another run holds the migration, and so does a rollback", async () => {
    await load();
    // Neither a lock of the product's nor one in another database is what is waited for.
    const bystanders = [new pg.Client(one.url), new pg.Client(cluster.url)];
    for (const [at, client] of bystanders.entries()) {
      await client.connect();
      const keys = at === 0 ? "generate_series(1, 40)" : "(VALUES (5497853339122026))";
      await client.query(`SELECT pg_advisory_lock(key) FROM ${keys} AS keys(key)`);
    }
    const another = new pg.Client(one.url);
    await another.connect();
    const hold = () => another.query("SELECT pg_advisory_lock(5497853339122026)");
    const { rows } = await another.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const locked = { code: "LOCKED", kind: "locked", details: { pid: rows[0]?.pid } };
    await hold();
    await expect(cutover()).rejects.toMatchObject(locked);
    const phase = async () => (await migrationStatus(request())).phase;
    expect(await phase()).toBe("loaded");
    // A cutover that came later, and got the lock first, goes on.
    const second = expect(cutover()).rejects.toMatchObject(locked);
    await expect.poll(phase, PATIENCE).toBe("cutting-over");
    await another.query(
      `UPDATE lifeboat.migrations SET details = (details::jsonb || '{"claimedBy": ${rows[0]?.pid}}')::json`,
    );
    await second;
    expect(await phase()).toBe("cutting-over");
    await another.query("SELECT pg_advisory_unlock_all()");
    await cutover();
    await hold();
    await expect(rollbackMigration(request())).rejects.toMatchObject(locked);
    expect((await migrationStatus(request())).phase).toBe("cut-over");
    await another.end();
    for (const client of bystanders) await client.end();
    await rollbackMigration(request());
  });

  it("waits for a sync that is at a long look", async () => {
    await load();
    const sync = new pg.Client({
      connectionString: one.url,
      application_name: "lifeboat migrate sync",
    });
    await sync.connect();
    await sync.query("SELECT pg_advisory_lock(5497853339122026)");
    const { promise: isWaiting, resolve } = Promise.withResolvers<string>();
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps)
        await step.run(({ note }) => {
          if (step.title === "claim the migration" && note !== undefined) resolve(note);
        });
    };
    const moved = cutover({ run });
    const impatient = await connectTarget({ url: one.url });
    const given = takeTargetLockOver(impatient, undefined, 0);
    await expect(given).rejects.toMatchObject({ code: "LOCKED", details: { isSync: true } });
    await impatient.end();
    expect(await isWaiting).toBe("waits for the sync to end what it brings now");
    await sync.end();
    expect((await moved).phase).toBe("cutover");
  });

  it("is none of a file that does not log its writes", async () => {
    await one.load();
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'nobody logs it')");
    const refused = { code: "NOT_CAPTURED", kind: "not-found" };
    await expect(cutover()).rejects.toMatchObject(refused);
    await expect(syncMigration(request())).rejects.toMatchObject(refused);
    expect((await migrationStatus(request())).phase).toBe("loaded");
  });

  it("tells how long writers were held, and how long they were refused until the switch had returned", async () => {
    await load();
    const locker = new pg.Client(one.url);
    await locker.connect();
    let waited = 0;
    let frozenAt = 0;
    let switchedAt = 0;
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "prepare Postgres for writes") frozenAt = performance.now();
        if (step.title !== "freeze SQLite") {
          await step.run(() => {});
          continue;
        }
        one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'the last')");
        await locker.query("BEGIN; LOCK TABLE ledger IN SHARE MODE");
        const freezing = step.run(() => {});
        const blocked = () => one.query("SELECT 1 FROM pg_locks WHERE NOT granted");
        while ((await blocked()).length === 0);
        const since = performance.now();
        while ((await blocked()).length === 0 || performance.now() - since < 20);
        waited = (performance.now() - since) / 1000;
        await locker.query("COMMIT");
        await freezing;
      }
    };
    const onCutover = async () => {
      await one.query("SELECT 1");
      switchedAt = performance.now();
    };
    const { holdSeconds, switchSeconds, seconds } = await cutover({ run, onCutover });
    await locker.end();
    expect(holdSeconds).toBeGreaterThanOrEqual(waited);
    expect(switchSeconds).toBeGreaterThanOrEqual((switchedAt - frozenAt) / 1000);
    expect(holdSeconds + switchSeconds).toBeLessThan(seconds);
  });

  it("finds rows without parents that came as it froze, and goes back", async () => {
    await cluster.query("GRANT SET ON PARAMETER session_replication_role TO lifeboat");
    try {
      await load();
      const run: CutoverRequest["run"] = async (steps) => {
        for (const step of steps) {
          if (step.title === "freeze SQLite")
            one.sqlite("INSERT INTO orders(id, account, at) VALUES (1, 4711, 'x')");
          await step.run(() => {});
        }
      };
      await expect(cutover({ run })).rejects.toMatchObject({ code: "FOREIGN_KEYS_BROKEN" });
      expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", refused: false });
      one.sqlite("DELETE FROM orders");
      await cutover();
    } finally {
      await cluster.query("REVOKE SET ON PARAMETER session_replication_role FROM lifeboat");
    }
  });

  it("waits for no reader of Postgres to make the foreign keys again that it had set aside", async () => {
    await load();
    const report = new pg.Client(one.url);
    await report.connect();
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "freeze SQLite") {
          expect(await foreignKeys()).toEqual([]);
          await report.query("BEGIN; SELECT * FROM orders");
        }
        await step.run(() => {});
      }
    };
    await cutover({ run });
    expect(await foreignKeys()).toEqual([{ conname: "orders_account_fkey", convalidated: true }]);
    await report.end();
  });

  it("is refused, and so is a sync, where somebody's trigger would act on what they bring; a verification from before counts no more", async () => {
    await load();
    await one.query(
      `CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.notes(body) VALUES (''again''); RETURN NULL; END';
       CREATE TRIGGER again AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION again()`,
    );
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'once')");
    const message = expect.stringMatching(/^trigger again of ledger/);
    const refused = { code: "TARGET_ACTS", kind: "refused", message };
    const sync = syncMigration({ ...request(), until: "caught-up" });
    await expect(sync).rejects.toMatchObject(refused);
    await expect(cutover()).rejects.toMatchObject(refused);
    expect(await ledger()).toEqual([]);
    expect(await foreignKeys()).toEqual([{ conname: "orders_account_fkey", convalidated: true }]);
    await one.query("ALTER TABLE ledger DISABLE TRIGGER again");
    await expect(cutover()).rejects.toThrow(/^gate verified: /);
    expect(await verifyMigration(request())).toMatchObject({
      ok: true,
      findings: [{ id: "trigger-not-planned", severity: "warning" }],
    });
    const enabled = "ALTER TABLE ledger ENABLE TRIGGER again";
    await cutover({ onCutover: async () => void (await one.query(enabled)) });
    expect(await differences()).toEqual([]);
    await one.query("INSERT INTO ledger(seq, body) VALUES (2, 'in Postgres')");
    expect(await one.query("SELECT body FROM notes WHERE body = 'again'")).toHaveLength(1);
  });

  it("keeps nothing of what a trigger does that comes while it, or a sync, is under way", async () => {
    await load();
    await one.query(
      "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.notes(body) VALUES (''again''); RETURN NULL; END'",
    );
    const make =
      "CREATE TRIGGER again AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION again()";
    const refused = { code: "TARGET_ACTS", kind: "refused" };
    const sync = syncMigration(request());
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'before')");
    await expect.poll(ledger, PATIENCE).toHaveLength(1);
    await one.query(make);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (2, 'beside it')");
    await expect(sync).rejects.toMatchObject(refused);
    expect(await ledger()).toHaveLength(1);
    await one.query("DROP TRIGGER again ON ledger");
    await syncMigration({ ...request(), until: "caught-up" });
    expect(await differences()).toEqual([]);
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "freeze SQLite") {
          await one.query(make);
          one.sqlite("INSERT INTO ledger(seq, body) VALUES (3, 'held')");
        }
        await step.run(() => {});
      }
    };
    await expect(cutover({ run })).rejects.toMatchObject(refused);
    expect(await migrationStatus(request())).toMatchObject({
      phase: "loaded",
      refused: false,
      verifiedAt: null,
    });
  });

  it("gives no id out in Postgres that SQLite has given since the load", async () => {
    // A name that no column of Postgres can bear.
    one.sqlite("CREATE TABLE odd(ctid INTEGER PRIMARY KEY, v INT)");
    await load();
    one.sqlite(
      `INSERT INTO orders(id, account, at) VALUES (500, 1, 'x'); INSERT INTO odd VALUES (600, 1);
       INSERT INTO accounts(id, email) VALUES (700, 'g@x'); DELETE FROM accounts WHERE id = 700`,
    );
    await cutover();
    const next = () => one.query("INSERT INTO orders(account) VALUES (1) RETURNING id");
    expect(await next()).toEqual([{ id: "501" }]);
    const nextOdd = await one.query<object>("INSERT INTO odd(v) VALUES (2) RETURNING *");
    expect(nextOdd.map(Object.values)).toEqual([["601", "2"]]);
    const account = await one.query("INSERT INTO accounts(email) VALUES ('h@x') RETURNING id");
    expect(account).toEqual([{ id: "701" }]);
  });

  it("gives no id out in Postgres that was there at the load", async () => {
    one.sqlite("INSERT INTO orders(id, account, at) VALUES (5, 1, 'x'), (400, 1, 'x')");
    await load();
    one.sqlite("DELETE FROM orders WHERE id = 400");
    await cutover();
    const next = () => one.query("INSERT INTO orders(account) VALUES (1) RETURNING id");
    expect(await next()).toEqual([{ id: "401" }]);
  });

  it("takes out of SQLite what logged its writes, and out of Postgres what told its rows apart", async () => {
    await load();
    expect(await keptColumns()).not.toEqual([]);
    expect((await cutover()).findings).toEqual([]);
    expect(await keptColumns()).toEqual([]);
    const names = schemaOf(one.path).map((row) => (row as { name: string }).name);
    expect(names.filter((name) => /^lifeboat_(capture|replace)/.test(name))).toEqual([]);
  });

  it("leaves a column that the product's transactions keep from being dropped to finish, and says so", async () => {
    await load();
    const reader = new pg.Client(one.url);
    await reader.connect();
    const onCutover = async () => void (await reader.query("BEGIN; SELECT * FROM notes"));
    const { findings } = await cutover({ onCutover });
    expect(findings).toMatchObject([{ id: "kept-rowid-left", severity: "warning" }]);
    expect(await keptColumns()).not.toEqual([]);
    await one.query("INSERT INTO notes VALUES ('in Postgres', NULL)");
    await reader.end();
    await finishMigration(request());
    expect(await keptColumns()).toEqual([]);
    expect(await differences()).toEqual([]);
  });

  it("gives the product back to SQLite where its switch fails, and can be run again", async () => {
    await load();
    const onCutover = () => Promise.reject(new Error("the load balancer is away"));
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "SWITCH_FAILED" });
    const status = await migrationStatus(request());
    expect([status.phase, status.refused, status.captured]).toEqual(["loaded", false, true]);
    const kept = "SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'lifeboat%'";
    expect(await one.query(kept)).toEqual([{ tgname: "lifeboat_refuse" }]);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'after it'); DELETE FROM notes");
    await cutover();
    expect(await differences()).toEqual([]);
    expect(await ledger()).toEqual([1]);
  });

  it("brings to SQLite what a switch that failed half-way let the product write to Postgres", async () => {
    await load();
    const onCutover = async () => {
      await one.query(
        `INSERT INTO ledger(seq, body) VALUES (5, 'from Postgres'); DELETE FROM pairs;
         INSERT INTO notes VALUES ('from Postgres', NULL);
         DELETE FROM notes WHERE ctid = (SELECT min(ctid) FROM notes WHERE body = 'first')`,
      );
      throw new Error("half of the workers did not answer");
    };
    await expect(cutover({ onCutover })).rejects.toMatchObject({ code: "SWITCH_FAILED" });
    const db = new Database(one.path);
    expect(db.prepare("SELECT body FROM ledger WHERE seq = 5").pluck().get()).toBe("from Postgres");
    db.close();
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (6, 'and on')");
    // A worker that nobody has switched back would lose what it writes there now.
    await expect(one.query("INSERT INTO ledger VALUES (7, 'late')")).rejects.toThrow("moved back");
    await syncMigration({ ...request(), until: "caught-up" });
    expect(await differences()).toEqual([]);
    await cutover();
    await one.query("INSERT INTO ledger VALUES (8, 'moved')");
    expect(await ledger()).toEqual([5, 6, 8]);
  });

  it("gives the product back where the budget is over before the switch returns", async () => {
    await load();
    const onCutover = (signal: AbortSignal) =>
      new Promise<void>((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    await expect(cutover({ onCutover, budgetSeconds: 1 })).rejects.toMatchObject({
      code: "CUTOVER_TOO_SLOW",
    });
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'after it')");
    expect((await migrationStatus(request())).phase).toBe("loaded");
  });

  it("does not begin to switch the product once the budget is over", async () => {
    await load();
    let switched = 0;
    const onCutover = async () => void switched++;
    await expect(cutover({ onCutover, budgetSeconds: 0.001 })).rejects.toMatchObject({
      code: "CUTOVER_TOO_SLOW",
    });
    expect(switched).toBe(0);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'after it')");
    expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", refused: false });
    await cutover({ onCutover });
    expect([switched, await ledger()]).toEqual([1, [1]]);
  });

  it("finds a value that was changed by hand in Postgres among the last rows, and goes back", async () => {
    await load();
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'right')");
    const backup = async () => {
      await one.query("UPDATE ledger SET body = 'wrong' WHERE seq = 1");
      return "id";
    };
    await expect(cutover({ backup })).rejects.toMatchObject({ code: "NOT_APPLIED" });
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (2, 'goes on')");
  });

  it("is refused where rows have lost their parents", async () => {
    await load();
    one.sqlite("INSERT INTO orders(id, account, at) VALUES (1, 4711, 'x')");
    const begun: string[] = [];
    const run: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        begun.push(step.title);
        await step.run(() => {});
      }
    };
    await expect(cutover({ run })).rejects.toMatchObject({
      code: expect.stringMatching(/FOREIGN_KEYS_BROKEN|TARGET_REFUSED/),
    });
    expect(begun).not.toContain("freeze SQLite");
    one.sqlite("DELETE FROM orders");
    await cutover();
  });

  it("passes over foreign keys where the role may, and keeps them in place all the time", async () => {
    await cluster.query("GRANT SET ON PARAMETER session_replication_role TO lifeboat");
    try {
      const writer = await write();
      await load();
      await syncMigration({ ...request(), until: "caught-up" });
      expect(await foreignKeys()).toEqual([{ conname: "orders_account_fkey", convalidated: true }]);
      await cutover();
      await writer.refused;
      expect(await ledger()).toEqual(acknowledged(writer));
      expect(await differences()).toEqual([]);
      await expect(one.query("INSERT INTO orders(id, account) VALUES (-1, -1)")).rejects.toThrow(
        /foreign key/,
      );
    } finally {
      await cluster.query("REVOKE SET ON PARAMETER session_replication_role FROM lifeboat");
    }
  });

  it("needs of its role only what the script of least rights gives, and the product's own sees all of a load or nothing", async () => {
    const role = `mover_${process.pid}`;
    const product = `product_${process.pid}`;
    const database = new URL(one.url).pathname.slice(1);
    const sql = leastPrivilegeScript({ role, database, migrateInto: "moved" });
    await cluster.query(sql, database);
    await cluster.query(`ALTER ROLE ${role} PASSWORD 'x'`);
    const url = new URL(one.url);
    url.username = role;
    url.password = "x";
    const asMover = { ...request(), postgres: { url: url.href }, schema: "moved" };
    // Put in and uncommented, as the script says.
    const rights =
      sql.match(/(?<=^-- )(?:alter default privileges|grant usage on schema).*$/gm) ?? [];
    await cluster.query(
      `CREATE ROLE ${product} LOGIN PASSWORD 'x'; ${rights.join("\n").replaceAll("PRODUCT", product)}`,
      database,
    );
    url.username = product;
    const other = new pg.Client(url.href);
    await other.connect();
    const seen = new Map<string, boolean>();
    const looking: CutoverRequest["run"] = async (steps) => {
      for (const step of steps) {
        await step.run(() => undefined);
        const { rows } = await other.query(
          "SELECT to_regclass('moved.ledger') IS NOT NULL AS seen",
        );
        seen.set(step.title, rows[0]?.seen);
      }
    };
    await loadMigration({ ...asMover, live: true, run: looking });
    expect([...seen].filter(([, isSeen]) => isSeen).map(([title]) => title)).toEqual([
      "commit",
      "forget in SQLite what Postgres holds",
      "close the journal",
    ]);
    expect(seen.size).toBeGreaterThan(8);
    expect((await other.query("SELECT seq FROM moved.ledger")).rowCount).toBe(20_000);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'followed')");
    await syncMigration({ ...asMover, until: "caught-up" });
    await cutoverMigration(asMover);
    expect((await migrationStatus(asMover)).phase).toBe("cut-over");
    await other.query(
      `INSERT INTO moved.accounts(email) VALUES ('new@x'); UPDATE moved.ledger SET body = 'there' WHERE seq = 1;
       DELETE FROM moved.notes WHERE ctid = (SELECT min(ctid) FROM moved.notes); SELECT nextval('moved.accounts_id_seq')`,
    );
    await other.end();
    await rollbackMigration(asMover);
    const file = new Database(one.path);
    expect(file.prepare("SELECT body FROM ledger WHERE seq = 1").pluck().get()).toBe("there");
    file.close();
    await finishMigration(asMover);
    for (const made of [product, role])
      await cluster.query(`DROP OWNED BY ${made} CASCADE`, database);
  });

  it("follows a VACUUM that gives rows without a key new rowids", async () => {
    one.sqlite(
      "INSERT INTO notes SELECT 'many ' || seq, NULL FROM ledger; DELETE FROM notes WHERE rowid % 3 = 0",
    );
    await load();
    one.sqlite(
      "VACUUM; DELETE FROM notes WHERE rowid < 100; INSERT INTO notes VALUES ('new', x'01')",
    );
    const { tables } = await syncMigration({ ...request(), until: "caught-up" });
    // An INTEGER PRIMARY KEY is a rowid too, and VACUUM leaves it as it is.
    expect(tables.map(({ name }) => name)).toEqual(["notes"]);
    expect(await differences()).toEqual([]);
    one.sqlite("DELETE FROM notes WHERE rowid < 100");
    await cutover();
    expect(await differences()).toEqual([]);
    // And in Postgres what gives rows other values and fires no trigger.
    await one.query("ALTER TABLE accounts ALTER balance TYPE double precision USING 2.5");
    await rollbackMigration(request());
    expect(await differences()).toEqual([]);
  });

  it("stops where an older copy of the file was put in its place, whatever was written to that since", async () => {
    await load();
    await copyFile(one.path, `${one.path}.old`);
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'brought')");
    await syncMigration({ ...request(), until: "caught-up" });
    await verifyMigration(request());
    const sync = syncMigration(request());
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (2, 'brought')");
    await expect.poll(ledger, PATIENCE).toHaveLength(2);
    const replaced = { code: "SQLITE_REPLACED" };
    await rename(one.path, `${one.path}.away`);
    await expect(sync).rejects.toMatchObject(replaced);
    for (const end of ["-wal", "-shm"]) await rm(`${one.path}${end}`, { force: true });
    await rename(`${one.path}.old`, one.path);
    await expect(cutover()).rejects.toMatchObject(replaced);
    // The rows get the ids that those had which were brought, and the log's entries their numbers.
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    await expect(cutover()).rejects.toMatchObject(replaced);
    expect(await ledger()).toEqual([1, 2]);
  });

  it("stops where the schema was changed, and says so", async () => {
    await load();
    one.sqlite("ALTER TABLE ledger ADD COLUMN more TEXT");
    await expect(syncMigration({ ...request(), until: "caught-up" })).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
    });
    await expect(cutover()).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });

  it("stops at a value that the plan has no place for, and goes on once it is set right", async () => {
    await load();
    one.sqlite("INSERT INTO pairs VALUES ('text in a number', 1, 'v')");
    await expect(syncMigration({ ...request(), until: "caught-up" })).rejects.toMatchObject({
      code: "VALUE_NOT_PLANNED",
      details: { table: "pairs" },
    });
    one.sqlite("DELETE FROM pairs; INSERT INTO pairs VALUES (1, 2, 'v')");
    one.sqlite("INSERT INTO notes VALUES ('secret ' || CAST(x'ff' AS TEXT), NULL)");
    const refused = syncMigration({ ...request(), until: "caught-up" });
    await expect(refused).rejects.toMatchObject({
      code: "TARGET_REFUSED_ROWS",
      message: "Postgres refuses a row of notes, for its body (SQLSTATE 22021); nothing was kept",
      remedy: expect.stringContaining("set it right in SQLite"),
    });
    one.sqlite("DELETE FROM notes WHERE rowid = (SELECT max(rowid) FROM notes)");
    await cutover();
    expect(await differences()).toEqual([]);
  });

  it("can be aborted before, and SQLite's schema is what it was", async () => {
    await load();
    one.sqlite("INSERT INTO ledger(seq, body) VALUES (1, 'x')");
    await abortMigration(request());
    expect(schemaOf(one.path)).toEqual(before);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
    expect(await keptColumns()).toEqual([]);
    await expect(load()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  });

  it("can be aborted after a sync that was killed, and the foreign keys that it had set aside are there", async () => {
    await load();
    await one.query(
      `ALTER TABLE orders DROP CONSTRAINT orders_account_fkey;
       UPDATE lifeboat.migrations SET details = (details::jsonb || '{"foreignKeysAside": true}')::json`,
    );
    await abortMigration(request());
    expect(await foreignKeys()).toEqual([{ conname: "orders_account_fkey", convalidated: true }]);
  });

  it("can be aborted with all that was loaded, and loaded anew", async () => {
    await load();
    await abortMigration({ ...request(), dropLoaded: true });
    await expect(abortMigration(request())).rejects.toMatchObject({ code: "NOTHING_TO_ABORT" });
    await load();
    expect((await verifyMigration(request())).ok).toBe(true);
  });

  it("can't be aborted afterwards", async () => {
    await load();
    await cutover();
    await expect(abortMigration(request())).rejects.toMatchObject({
      code: "NOT_ABORTABLE",
      kind: "refused",
    });
  });

  it("can't be aborted afterwards by a target that knows nothing of it, nor under another schema", async () => {
    await load();
    await cutover();
    const other = await migrationCase(cluster, "");
    const mistaken = { ...request(), postgres: { url: other.url } };
    const refused = { code: "NOT_ABORTABLE", kind: "refused" };
    await expect(abortMigration(mistaken)).rejects.toMatchObject(refused);
    const { findings, next } = await migrationStatus(mistaken);
    expect(findings.map(({ summary }) => summary).join()).toMatch(/set postgres\.url/);
    expect(`${next}${findings.map(({ summary }) => summary).join()}`).not.toMatch(/abort|load/);
    await other.end();
    const misnamed = { ...request(), schema: "elsewhere" };
    await expect(abortMigration(misnamed)).rejects.toMatchObject(refused);
    expect((await migrationStatus(misnamed)).findings[0]?.summary).toMatch(/schema to that/);
    expect(() => one.sqlite("INSERT INTO ledger(seq, body) VALUES (7, 'late')")).toThrow(/moved/);
    await one.query("INSERT INTO ledger(seq, body) VALUES (8, 'in Postgres')");
    expect((await rollbackMigration(request())).rows).toBeGreaterThan(0);
  });

  it("whose target is lost before it can be aborted by another, which leaves SQLite as it was", async () => {
    await load();
    const other = await migrationCase(cluster, "");
    await abortMigration({ ...request(), postgres: { url: other.url } });
    await other.end();
    expect(schemaOf(one.path)).toEqual(before);
  });

  const foreignKeys = () =>
    one.query("SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f'");
  const keptColumns = () =>
    one.query(
      "SELECT attname FROM pg_attribute WHERE attname LIKE 'lifeboat%' AND NOT attisdropped",
    );
});

function schemaOf(path: string): unknown[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema").all();
  } finally {
    db.close();
  }
}
