import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Report, StepRunner } from "@lifeboat/core";
import {
  cutoverMigration,
  finishMigration,
  followReverse,
  loadMigration,
  rollbackMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

const program = (name: string) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

const LEDGER = `
  CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT);
  CREATE TABLE counters(id INTEGER PRIMARY KEY, v INTEGER);
  CREATE TABLE scratch(v TEXT);
  INSERT INTO counters VALUES (1000000, 0), (2000000, 0);
  INSERT INTO ledger VALUES (1, 'before the move');`;

let cluster: TestCluster;
let one: ReverseCase;
const writers: { child: ChildProcess; ledger: string; base: number }[] = [];
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(async () => {
  for (const { child, ledger } of writers.splice(0)) {
    child.kill("SIGKILL");
    await rm(ledger, { force: true });
  }
  await one.end();
});

const request = () => ({
  sqlite: { path: one.path },
  postgres: { url: one.url },
  signal: new AbortController().signal,
});

async function startWriters(): Promise<void> {
  for (const base of [1_000_000, 2_000_000]) {
    const ledger = `${one.path}.ledger-${base}`;
    const child = spawn(
      process.execPath,
      [program("moving-writer"), "--database", one.path, "--ledger", ledger, "--base", `${base}`],
      { env: { ...process.env, LIFEBOAT_TEST_URL: one.url }, stdio: ["pipe", "pipe", "inherit"] },
    );
    writers.push({ child, ledger, base });
    await once(child.stdout, "data");
  }
}

/** Ends them, and gives what each of them was acknowledged, by side. */
async function stopWriters(): Promise<
  { base: number; postgres: number[]; sqlite: number[]; refused: string[] }[]
> {
  const found = [];
  for (const { child, ledger, base } of writers) {
    const exit = once(child, "exit");
    child.stdin?.end();
    expect(await exit).toEqual([0, null]);
    const lines = (await readFile(ledger, "utf8")).trim().split("\n");
    const of = (side: string) =>
      lines.filter((line) => line.endsWith(` ${side}`)).map((line) => Number.parseInt(line, 10));
    found.push({
      base,
      postgres: of("postgres"),
      sqlite: of("sqlite"),
      refused: lines.filter((line) => line.startsWith("refused")),
    });
  }
  return found;
}

async function untilAcknowledged(count: number, side = "postgres"): Promise<void> {
  for (const { ledger } of writers)
    for (;;) {
      const text = await readFile(ledger, "utf8").catch(() => "");
      if (text.split("\n").filter((line) => line.endsWith(side)).length >= count) break;
      await sleep(20);
    }
}

/** Every acknowledged write is in SQLite, once, and nothing else but a last one whose acknowledgement was cut off. */
async function expectNothingLost(): Promise<void> {
  const found = await stopWriters();
  const db = new Database(one.path, { readonly: true });
  for (const { base, postgres, sqlite, refused } of found) {
    expect(refused).toEqual(["refused lifeboat: moved back to SQLite, writes refused"]);
    expect(sqlite.length).toBeGreaterThan(0);
    const rows = db
      .prepare("SELECT seq FROM ledger WHERE seq > ? AND seq < ? + 1000000 ORDER BY seq")
      .pluck()
      .all(base, base) as number[];
    expect(rows).toEqual([...postgres, ...sqlite]);
    expect(db.prepare("SELECT v FROM counters WHERE id = ?").pluck().get(base)).toBe(rows.length);
  }
  db.close();
}

describe("a rollback under load from two processes", () => {
  it("holds writers for a moment, refuses late ones loudly and loses nothing, with a sync at work", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await startWriters();
    const stop = new AbortController();
    const sync = followReverse({ ...request(), signal: stop.signal });
    await untilAcknowledged(200);
    const db = new Database(one.path, { readonly: true });
    const brought = db.prepare("SELECT count(*) FROM ledger WHERE seq > 1000000").pluck();
    await expect.poll(() => brought.get()).toBeGreaterThan(0);
    db.close();
    const report = await rollbackMigration(request());
    expect((await sync).batches).toBeGreaterThan(0);
    expect(report.holdSeconds).toBeGreaterThan(0);
    expect(report.switchSeconds).toBeGreaterThan(0);
    await untilAcknowledged(20, "sqlite");
    await expectNothingLost();
    expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
      { phase: "rolled-back" },
    ]);
    await expect(one.query("TRUNCATE scratch")).rejects.toThrow("moved back to SQLite");
  });

  it("gets there also where the product writes more during each look than is brought within a freeze", async () => {
    one = await reverseCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO t SELECT i, 0 FROM n`,
    );
    await one.cutOver();
    const client = await one.client();
    let acknowledged = 0;
    const refused = (async () => {
      for (;;) {
        await client.query("UPDATE t SET v = v + 1");
        acknowledged++;
      }
    })();
    const told = expect(refused).rejects.toThrow("moved back to SQLite");
    await rollbackMigration(request());
    await told;
    const db = new Database(one.path, { readonly: true });
    expect(db.prepare("SELECT min(v), max(v) FROM t").raw().get()).toEqual([
      acknowledged,
      acknowledged,
    ]);
    db.close();
  });

  it.each([
    "bring SQLite close",
    "refuse writes in Postgres",
    "bring the last changes to SQLite",
    "let SQLite take writes",
    "switch the product to SQLite",
    "close the journal",
  ])("that is killed as it begins to %s is ended by running it again", async (title) => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await startWriters();
    await untilAcknowledged(30);
    const child = spawn(process.execPath, [program("rollback-in-process"), one.path], {
      env: { ...process.env, LIFEBOAT_TEST_URL: one.url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout }))
      if (line === title) child.kill("SIGKILL");
    await exit;
    await rollbackMigration(request());
    await untilAcknowledged(5, "sqlite");
    await expectNothingLost();
  });
});

it("a rollback that is killed at random instants is ended by running it again and again", async () => {
  one = await reverseCase(cluster, LEDGER);
  await one.cutOver();
  await startWriters();
  await untilAcknowledged(30);
  for (let kills = 0; kills < 4; kills++) {
    const child = spawn(process.execPath, [program("rollback-in-process"), one.path], {
      env: { ...process.env, LIFEBOAT_TEST_URL: one.url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    await once(child.stdout, "data");
    const delay = Math.random() * 60;
    process.stdout.write(`killed after ${delay.toFixed(1)} ms\n`);
    await sleep(delay);
    child.kill("SIGKILL");
    await exit;
  }
  await rollbackMigration(request());
  await untilAcknowledged(5, "sqlite");
  await expectNothingLost();
});

describe("a rollback that can't be done", () => {
  it("gives a sync that it took over from its work back", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const sync = followReverse(request());
    const db = new Database(one.path, { readonly: true });
    const brought = db.prepare("SELECT seq FROM ledger WHERE seq > 1").pluck();
    await one.query("INSERT INTO ledger VALUES (6, 'before')");
    await expect.poll(() => brought.all()).toEqual([6]);
    const long = await one.client();
    await long.query("BEGIN; INSERT INTO ledger VALUES (7, 'long')");
    await expect(rollbackMigration({ ...request(), budgetSeconds: 1 })).rejects.toMatchObject({
      code: "WRITERS_BUSY",
    });
    await one.query("INSERT INTO ledger VALUES (8, 'since')");
    await expect.poll(() => brought.all()).toEqual([6, 8]);
    await long.query("COMMIT");
    await expect.poll(() => brought.all()).toEqual([6, 7, 8]);
    db.close();
    await rollbackMigration(request());
    expect(await sync).toMatchObject({ direction: "postgres-to-sqlite", rows: 3 });
  });

  it("gives back the work of a sync whose connection broke as it took over", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const stop = new AbortController();
    const notes: unknown[] = [];
    const run: StepRunner = async (steps) => {
      for (const step of steps) await step.run(({ note }) => notes.push(note));
    };
    const sync = followReverse({ ...request(), signal: stop.signal, run });
    await one.query("INSERT INTO ledger VALUES (9, 'before')");
    await expect.poll(() => notes).toContain("1 rows in 1 batches");
    const rollback = await one.client();
    const held = await rollback.query<{ key: string }>(
      "SELECT (classid::bigint << 32 | objid::bigint)::text AS key FROM pg_locks WHERE locktype = 'advisory' AND granted",
    );
    // One transaction: the phase is told once the lock is had, for which this one waits before the sync is back.
    await rollback.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifeboat migrate sync' AND datname = current_database();
       SELECT pg_advisory_lock(${held.rows[0]?.key}); UPDATE lifeboat.migrations SET phase = 'rolling-back'`,
    );
    await expect
      .poll(() => notes)
      .toContain("a rollback has taken over; goes on if that is given back");
    await rollback.query(
      "UPDATE lifeboat.migrations SET phase = 'cut-over'; SELECT pg_advisory_unlock_all(); INSERT INTO ledger VALUES (10, 'since')",
    );
    await expect.poll(() => notes).toContain("2 rows in 2 batches");
    stop.abort();
    expect(await sync).toMatchObject({ rows: 2 });
  });

  it("leaves a sync that stands by to its signal", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const stop = new AbortController();
    const notes: unknown[] = [];
    const run: StepRunner = async (steps) => {
      for (const step of steps) await step.run(({ note }) => notes.push(note));
    };
    const sync = followReverse({ ...request(), signal: stop.signal, run });
    await one.query("INSERT INTO ledger VALUES (9, 'in Postgres')");
    await expect.poll(() => notes).toContain("1 rows in 1 batches");
    await one.query("UPDATE lifeboat.migrations SET phase = 'rolling-back'");
    await expect
      .poll(() => notes)
      .toContain("a rollback has taken over; goes on if that is given back");
    stop.abort();
    expect(await sync).toMatchObject({ rows: 1 });
  });

  it("gives the product back to Postgres when a value has no place in SQLite", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await one.query("INSERT INTO ledger VALUES (5, 'kept')");
    await one.query("CREATE TABLE public.later(id int)");
    await expect(rollbackMigration(request())).rejects.toMatchObject({ code: "NOT_FOLLOWABLE" });
    await one.query("INSERT INTO ledger VALUES (6, 'still taken')");
    expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
      { phase: "cut-over" },
    ]);
    await one.query("DROP TABLE public.later");
    await rollbackMigration(request());
    const db = new Database(one.path);
    expect(db.prepare("SELECT seq FROM ledger WHERE seq IN (5, 6)").pluck().all()).toEqual([5, 6]);
    db.close();
  });

  it("gives way to a transaction that does not end, and harms nobody", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const long = await one.client();
    await long.query("BEGIN; INSERT INTO ledger VALUES (7, 'long')");
    await expect(rollbackMigration({ ...request(), budgetSeconds: 1 })).rejects.toMatchObject({
      code: "WRITERS_BUSY",
    });
    await one.query("INSERT INTO ledger VALUES (8, 'short')");
    await long.query("COMMIT");
    expect(await one.differencesAfterFollowing()).toEqual([]);
  });

  it("says that it is half done when Postgres goes away within the freeze, and is ended by the next run", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await one.query("INSERT INTO ledger VALUES (21, 'before')");
    const database = new URL(one.url).pathname.slice(1);
    const run: StepRunner = async (steps) => {
      for (const step of steps) {
        if (step.title === "bring the last changes to SQLite") {
          await cluster.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`, "postgres");
          await cluster.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
            "postgres",
          );
        }
        await step.run(() => {});
      }
    };
    await expect(rollbackMigration({ ...request(), run })).rejects.toMatchObject({
      code: "ROLLBACK_HALF_DONE",
    });
    await cluster.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`, "postgres");
    await expect(one.query("INSERT INTO ledger VALUES (22, 'late')")).rejects.toThrow("moved back");
    await rollbackMigration(request());
    one.sqlite("INSERT INTO ledger SELECT 23, body FROM ledger WHERE seq = 21");
  });

  it("does not go back where the product's switch fails: that is told, and called by the next run", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const failing = rollbackMigration({
      ...request(),
      onRollback: () => Promise.reject(new Error("no worker answered")),
    });
    await expect(failing).rejects.toMatchObject({
      code: "SWITCH_FAILED",
      message: expect.stringContaining("no worker answered"),
    });
    one.sqlite("INSERT INTO ledger VALUES (31, 'in SQLite')");
    await expect(one.query("INSERT INTO ledger VALUES (32, 'late')")).rejects.toThrow("moved back");
    let switched = 0;
    // Nothing is done again that could be taken back, whatever the budget: else both sides would take writes.
    const onRollback = async () => void switched++;
    await rollbackMigration({ ...request(), budgetSeconds: 0.001, onRollback });
    expect(switched).toBe(1);
    one.sqlite("INSERT INTO ledger VALUES (33, 'and on')");
    await expect(one.query("INSERT INTO ledger VALUES (34, 'late')")).rejects.toThrow("moved back");
  });

  it("ends the product's switch where it is stopped meanwhile", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const stop = new AbortController();
    const onRollback = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
        stop.abort(new Error("stopped by SIGINT"));
      });
    await expect(
      rollbackMigration({ ...request(), signal: stop.signal, onRollback }),
    ).rejects.toMatchObject({
      code: "SWITCH_FAILED",
      message: expect.stringContaining("stopped by SIGINT"),
    });
    one.sqlite("INSERT INTO ledger VALUES (34, 'in SQLite')");
  });

  it("gives the product back to Postgres where the budget is over before SQLite takes writes", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await expect(rollbackMigration({ ...request(), budgetSeconds: 0.001 })).rejects.toMatchObject({
      code: "ROLLBACK_TOO_SLOW",
    });
    await one.query("INSERT INTO ledger VALUES (35, 'Postgres writes on')");
    expect(() => one.sqlite("INSERT INTO ledger VALUES (36, 'late')")).toThrow(/moved to Postgres/);
    expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
      { phase: "cut-over" },
    ]);
    expect((await rollbackMigration(request())).rows).toBe(1);
  });

  it("gives the product back at once beside a reader that does not end", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    const report = await one.client();
    await report.query("BEGIN; SELECT * FROM ledger");
    await expect(rollbackMigration({ ...request(), budgetSeconds: 0.001 })).rejects.toMatchObject({
      code: "ROLLBACK_TOO_SLOW",
    });
    await one.query("INSERT INTO ledger VALUES (37, 'Postgres writes on')");
    await rollbackMigration(request());
    await expect(one.query("INSERT INTO ledger VALUES (38, 'late')")).rejects.toThrow("moved back");
    await report.query("COMMIT");
    expect(await finishMigration(request())).toMatchObject({ live: "sqlite", findings: [] });
  });

  it("names the index that only the product's own code feeds", async () => {
    one = await reverseCase(
      cluster,
      `${LEDGER} CREATE VIRTUAL TABLE words USING fts5(body, content='ledger', content_rowid='seq')`,
    );
    await one.cutOver();
    const { findings } = await rollbackMigration(request());
    expect(findings).toMatchObject([{ id: "index-not-followed", table: "words" }]);
    one.sqlite("INSERT INTO words(words) VALUES('rebuild')");
  });

  it("is refused where nothing was cut over", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.load();
    await expect(rollbackMigration(request())).rejects.toMatchObject({
      code: "NOT_CUT_OVER",
      kind: "not-found",
    });
  });
});

it.each([
  ["a rollback", rollbackMigration],
  ["finish", finishMigration],
])(
  "%s lets the product write on while it waits for who reads a file in rollback-journal mode, as a verify does",
  async (_, end) => {
    one = await reverseCase(cluster, `PRAGMA journal_mode = DELETE; ${LEDGER}`);
    await one.cutOver();
    await one.query("INSERT INTO ledger VALUES (7, 'before')");
    const reader = new Database(one.path);
    reader.exec("BEGIN; SELECT * FROM ledger");
    const waits = Promise.withResolvers<void>();
    const report = ({ note }: Parameters<Report>[0]) => {
      if (note?.startsWith("wait")) waits.resolve();
    };
    const run: StepRunner = async (steps) => {
      for (const step of steps) await step.run(report);
    };
    const ended = end({ ...request(), run });
    await Promise.race([waits.promise, ended]);
    await one.query("INSERT INTO ledger VALUES (8, 'meanwhile')");
    expect(reader.prepare("SELECT count(*) FROM ledger").pluck().get()).toBe(1);
    reader.exec("COMMIT");
    await ended;
    expect(reader.prepare("SELECT count(*) FROM ledger").pluck().get()).toBe(3);
    reader.close();
  },
);

describe("finish", () => {
  const traces = async () => {
    const db = new Database(one.path);
    const inSqlite = db
      .prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'lifeboat%'")
      .pluck()
      .all();
    db.close();
    const inPostgres = await one.query(
      `SELECT nspname AS name FROM pg_namespace WHERE nspname = 'lifeboat'
       UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'lifeboat%'
       UNION ALL SELECT attname FROM pg_attribute WHERE attname LIKE 'lifeboat%'`,
    );
    return [...inSqlite, ...inPostgres];
  };

  it("after a cutover brings the last changes over, removes every trace and leaves Postgres to the product", async () => {
    one = await reverseCase(cluster, LEDGER);
    const plan = await one.cutOver();
    await one.query("INSERT INTO ledger VALUES (9, 'last')");
    const report = await finishMigration(request());
    expect(report).toMatchObject({ live: "postgres", findings: [] });
    expect(await traces()).toEqual([]);
    const { compareIndependently } = await import("./independent-comparison.ts");
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
    await one.query("INSERT INTO ledger VALUES (10, 'Postgres writes on')");
    await expect(finishMigration(request())).rejects.toMatchObject({ code: "NOTHING_TO_FINISH" });
  });

  it("brings over what was written until nobody may write, also while it was at work", async () => {
    one = await reverseCase(cluster, LEDGER);
    const plan = await one.cutOver();
    const run: StepRunner = async (steps) => {
      for (const step of steps) {
        if (step.title === "remove the capture from Postgres")
          await one.query("INSERT INTO ledger VALUES (9, 'the very last')");
        await step.run(() => {});
      }
    };
    await finishMigration({ ...request(), run });
    const { compareIndependently } = await import("./independent-comparison.ts");
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("after a rollback removes every trace and leaves SQLite to the product", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await rollbackMigration(request());
    expect(await finishMigration(request())).toMatchObject({ live: "sqlite", findings: [] });
    expect(await traces()).toEqual([]);
    one.sqlite("INSERT INTO ledger VALUES (11, 'SQLite writes on')");
  });

  it("after a rollback drops what was loaded when asked to, so that another load begins in an empty schema", async () => {
    one = await reverseCase(cluster, `${LEDGER} CREATE VIEW bodies AS SELECT body FROM ledger`);
    await one.cutOver();
    await rollbackMigration(request());
    const empties = { remedy: expect.stringContaining("lifeboat migrate finish --drop-loaded") };
    await expect(cutoverMigration(request())).rejects.toMatchObject({
      ...{ code: "NOT_LOADED", ...empties },
    });
    await expect(loadMigration(request())).rejects.toMatchObject({
      ...{ code: "TARGET_NOT_EMPTY", ...empties },
    });
    await expect(
      finishMigration({
        ...{ ...request(), dropLoaded: true },
        onEnd: () => Promise.reject(new Error("the runner ends here")),
      }),
    ).rejects.toThrow("the runner ends here");
    const report = await finishMigration({ ...request(), dropLoaded: true });
    expect(report).toMatchObject({ live: "sqlite", dropped: true, findings: [] });
    expect(await traces()).toEqual([]);
    one.sqlite("INSERT INTO ledger VALUES (11, 'SQLite writes on')");
    await one.loadFaithfully();
  });

  it("drops nothing while the product lives in Postgres", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    for (const withoutSqlite of [false, true])
      await expect(
        finishMigration({ ...request(), dropLoaded: true, withoutSqlite }),
      ).rejects.toMatchObject({ code: "POSTGRES_IS_LIVE", kind: "refused" });
    await one.query("INSERT INTO ledger VALUES (12, 'Postgres writes on')");
  });

  it("drops nothing that somebody has written to, or made anew, since the rollback", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await rollbackMigration(request());
    const refused = async (message: string) => {
      await expect(finishMigration({ ...request(), dropLoaded: true })).rejects.toMatchObject({
        ...{ code: "LOADED_CHANGED", kind: "refused" },
        message: expect.stringContaining(message),
      });
      expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
        { phase: "rolled-back" },
      ]);
    };
    await one.query("ALTER TABLE counters DISABLE TRIGGER lifeboat_refuse");
    await refused("public.counters took writes");
    await one.query("ALTER TABLE counters ENABLE ALWAYS TRIGGER lifeboat_refuse");
    await one.query("SET lifeboat.own_session = on; INSERT INTO ledger VALUES (13, 'behind us')");
    await refused("Postgres holds 1 changes that SQLite lacks");
    await one.query("DROP TABLE scratch; CREATE TABLE public.scratch(v text)");
    await refused("public.scratch took writes, or came anew");
    await one.query("INSERT INTO scratch VALUES ('kept')");
    await finishMigration(request());
    expect(await one.query("SELECT v FROM scratch")).toEqual([{ v: "kept" }]);
  });

  it("drops nothing that an earlier run has left to Postgres, nor beside another file", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await rollbackMigration(request());
    const drop = () => finishMigration({ ...request(), dropLoaded: true });
    one.sqlite("UPDATE lifeboat_state SET migration = 'another'");
    await expect(drop()).rejects.toMatchObject({ code: "SQLITE_REPLACED" });
    const onEnd = () => Promise.reject(new Error("the runner ends here"));
    await expect(finishMigration({ ...request(), onEnd })).rejects.toThrow("the runner ends here");
    await one.query("INSERT INTO ledger VALUES (14, 'since')");
    await expect(drop()).rejects.toMatchObject({ code: "LOADED_LEFT", kind: "refused" });
    expect(await finishMigration(request())).toMatchObject({ dropped: false });
    await one.query("INSERT INTO ledger VALUES (15, 'on')");
  });

  it("is refused while changes of Postgres can't be followed, and leaves all in place", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await one.query("ALTER TABLE ledger ADD COLUMN extra text");
    await one.query("INSERT INTO ledger VALUES (12, 'x', 'y')");
    await expect(finishMigration(request())).rejects.toMatchObject({ code: "NOT_FOLLOWABLE" });
    expect(await one.query("SELECT phase FROM lifeboat.migrations")).toEqual([
      { phase: "cut-over" },
    ]);
  });

  it("ends without SQLite where that can't follow any more or is lost, and leaves it refusing writes", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await one.query("ALTER TABLE ledger ADD COLUMN extra text");
    const report = await finishMigration({ ...request(), withoutSqlite: true });
    expect(report).toMatchObject({ live: "postgres", findings: [{ id: "sqlite-left" }] });
    expect((await traces()).filter((name) => !/state|log$|refuse_/.test(String(name)))).toEqual([]);
    expect(() => one.sqlite("INSERT INTO ledger VALUES (13, 'late')")).toThrow(/moved/);
    await one.query("INSERT INTO ledger VALUES (13, 'Postgres writes on', '')");
  });

  it("can't end without SQLite where the product is back in it", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await rollbackMigration(request());
    await expect(finishMigration({ ...request(), withoutSqlite: true })).rejects.toMatchObject({
      code: "SQLITE_IS_LIVE",
      kind: "refused",
    });
  });

  it("keeps what a role named lifeboat put into the schema of its name", async () => {
    one = await reverseCase(cluster, LEDGER);
    await one.cutOver();
    await one.query("CREATE TABLE lifeboat.mine(v text)");
    const report = await finishMigration(request());
    expect(report.findings.map((found) => found.id)).toEqual(["schema-kept"]);
    expect(await one.query("SELECT * FROM lifeboat.mine")).toEqual([]);
  });
});
