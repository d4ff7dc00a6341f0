import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { KillCase, type Verb } from "./kill-case.ts";
import { killMigrations } from "./kill-run.ts";

/** The same kills again: `LIFEBOAT_KILL_SEED=… vitest run …`. */
const seed = Number(process.env.LIFEBOAT_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const KILLS = 11;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

describe("a product of two processes that is moved to Postgres and back", () => {
  const moved = (own: number) =>
    killMigrations({
      cluster,
      seed: own,
      kills: KILLS,
      killsAVerb: 3,
      say: (line) => void process.stdout.write(`${line}\n`),
    });

  it("loses no write of two processes that commit a thousand times a second, with a sync at work", async () => {
    const product = await KillCase.make(cluster, { pause: 1 });
    try {
      await product.startWriters();
      const started = performance.now();
      expect(await product.run("load")).toBe("done");
      const sync = product.start("sync");
      await sync.reaches(0);
      expect(await product.run("cutover")).toBe("done");
      expect(await sync.ended).toBe("done");
      await product.traffic("postgres", 200);
      expect(await product.run("rollback")).toBe("done");
      await product.traffic("sqlite", 200);
      await product.stopWriters();
      const rate = product.acknowledged() / ((performance.now() - started) / 1000);
      process.stdout.write(`${Math.round(rate)} commits/s\n`);
      expect(await product.wrongOn("sqlite")).toEqual([]);
    } finally {
      await product.end();
    }
  });

  it("loses no acknowledged write and has none twice, whatever is killed, by a role that sets foreign keys aside", async () => {
    process.stdout.write(`LIFEBOAT_KILL_SEED=${seed}\n`);
    const report = await moved(seed);
    expect(report.faults).toEqual([]);
    expect(report.acknowledged).toBeGreaterThan(100);
  }, 600_000);

  it("nor by a role that may pass over foreign keys", async () => {
    await cluster.query("GRANT SET ON PARAMETER session_replication_role TO lifeboat");
    try {
      process.stdout.write(`LIFEBOAT_KILL_SEED=${seed} (second half)\n`);
      expect((await moved(seed + 1)).faults).toEqual([]);
    } finally {
      await cluster.query("REVOKE SET ON PARAMETER session_replication_role FROM lifeboat");
    }
  }, 600_000);
});

describe("a run that is killed as a step begins", () => {
  let product: KillCase;
  afterEach(() => product.end());

  /** Kills a run at each step in turn; each goes on from what the one before has left. */
  async function killedAtEach(verb: Verb, titles: readonly string[], ...flags: string[]) {
    for (const title of titles) {
      const run = product.start(verb, "--stop-at", title, ...flags);
      expect(await run.reaches(title), `${verb} reaches ${title}`).toBe(true);
      run.kill();
      await run.ended;
      expect(await product.unaccounted(), `${verb} killed at ${title}`).toEqual([]);
    }
  }

  it("is ended by running it again: load, cutover, rollback, finish", async () => {
    product = await KillCase.make(cluster, { pause: 5 });
    await product.startWriters();
    await killedAtEach("load", LOAD);
    expect(await product.run("load")).toBe("done");
    await killedAtEach("cutover", CUTOVER);
    expect(await product.run("cutover")).toBe("done");
    await product.traffic("postgres");
    expect(await product.missingForeignKeys()).toEqual([]);
    await killedAtEach("rollback", ROLLBACK);
    expect(await product.run("rollback")).toBe("done");
    await product.stopWriters();
    expect(await product.wrongOn("sqlite")).toEqual([]);
    await product.startWriters();
    await product.traffic("sqlite");
    await killedAtEach("finish", FINISH);
    expect(await product.run("finish")).toBe("done");
    await product.stopWriters();
    expect(await product.traces()).toEqual([]);
    expect(await product.wrongOn("sqlite")).toEqual([]);
  }, 600_000);

  it.each(["prepare Postgres for writes", "switch the product to Postgres"])(
    "lets SQLite take writes by itself when the budget is over, and nobody has to run: %s",
    async (title) => {
      product = await KillCase.make(cluster, { pause: 5 });
      await product.startWriters();
      expect(await product.run("load")).toBe("done");
      const run = product.start("cutover", "--budget", "3", "--stop-at", title);
      expect(await run.reaches(title)).toBe(true);
      run.kill();
      await run.ended;
      await product.traffic("sqlite", 20);
      expect(await product.run("cutover")).toBe("done");
      await product.traffic("postgres");
      await product.stopWriters();
      expect(await product.wrongOn("postgres")).toEqual([]);
    },
  );

  it("leaves nothing behind once an abort was run again", async () => {
    product = await KillCase.make(cluster, { pause: 5 });
    await product.startWriters();
    expect(await product.run("load")).toBe("done");
    await killedAtEach("cutover", ["prepare Postgres for writes"]);
    await killedAtEach("abort", ABORT, "--drop-loaded");
    expect(await product.run("abort", "--drop-loaded")).toBe("done");
    expect(await product.traces()).toEqual([]);
    await product.traffic("sqlite");
    await product.stopWriters();
    expect(await product.wrongOn("sqlite")).toEqual([]);
  }, 600_000);
});

const LOAD = [
  "open the journal",
  "log the product's writes",
  "create the tables",
  "copy the rows",
  "bring what was written meanwhile",
  "build keys and indexes",
  "validate checks",
  "compare both sides",
  "validate foreign keys",
  "commit",
  "forget in SQLite what Postgres holds",
  "close the journal",
];
const CUTOVER = [
  "claim the migration",
  "check the gates",
  "back up SQLite",
  "back up Postgres",
  "bring Postgres close",
  "freeze SQLite",
  "prepare Postgres for writes",
  "compare the last rows",
  "switch the product to Postgres",
  "remove the capture from SQLite",
  "close the journal",
];
const ROLLBACK = [
  "bring SQLite close",
  "refuse writes in Postgres",
  "bring the last changes to SQLite",
  "let SQLite take writes",
  "switch the product to SQLite",
  "close the journal",
];
const FINISH = [
  "bring SQLite up to date",
  "remove the capture from Postgres",
  "remove Lifeboat's tables and triggers from SQLite",
  "remove schema lifeboat from Postgres",
];
const ABORT = [
  "let SQLite take writes",
  "hold the loaded tables still in Postgres",
  "remove Lifeboat's tables and triggers from SQLite",
  "drop what was loaded into Postgres",
  "remove schema lifeboat from Postgres",
];
