import type { StepRunner } from "@lifeboat/core";
import {
  abortMigration,
  type CutoverRequest,
  cutoverMigration,
  finishMigration,
  keptForTheWayBack,
  loadMigration,
  migrationStatus,
  planMigration,
  readPostgresTables,
  rollbackMigration,
} from "@lifeboat/migrate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { UnreliableProxy } from "../support/unreliable-proxy.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

/** The reason that a stop signal gives. */
const STOPPED = new Error("stopped by SIGINT");

/** A loaded migration, and the network between us and its server. */
interface Silenced extends AsyncDisposable {
  readonly one: MigrationCase;
  readonly proxy: UnreliableProxy;
  readonly direct: ReturnType<typeof request>;
  readonly through: ReturnType<typeof request>;
  /** The network swallows all from now on, and somebody presses Ctrl-C. */
  swallow(): void;
  /** The same for the connections that there are; new ones pass. */
  forget(): void;
  write(): void;
  writePostgres(seq: number): Promise<unknown>;
  phase(): Promise<string>;
}

function request(path: string, url: string, signal: AbortSignal) {
  return { sqlite: { path }, postgres: { url }, signal };
}

async function silenced(): Promise<Silenced> {
  const one = await migrationCase(
    cluster,
    "CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT); CREATE TABLE notes(body TEXT)",
  );
  const proxy = await UnreliableProxy.start(cluster.port);
  const stop = new AbortController();
  const direct = request(one.path, one.url, new AbortController().signal);
  await loadMigration({ ...direct, live: true });
  const swallow = () => {
    proxy.silence();
    stop.abort(STOPPED);
  };
  return {
    ...{ one, proxy, direct, swallow },
    through: request(one.path, proxy.through(one.url), stop.signal),
    forget() {
      swallow();
      proxy.speak();
    },
    write: () => one.sqlite("INSERT INTO ledger(body) VALUES ('in SQLite')"),
    writePostgres: (seq) => one.query(`INSERT INTO ledger VALUES (${seq}, 'in Postgres')`),
    phase: async () => (await migrationStatus(direct)).phase,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await one.end();
    },
  };
}

/** Runs the steps, and does something as one of them begins. */
function before(title: string, act: () => void): StepRunner {
  return async (steps) => {
    for (const step of steps) {
      if (step.title === title) act();
      await step.run(() => {});
    }
  };
}

describe.concurrent("a verb that is stopped while Postgres answers nothing", () => {
  it.each([
    ["cutover", cutoverMigration],
    ["rollback", rollbackMigration],
    ["finish", finishMigration],
    ["abort", abortMigration],
  ])("as %s connects, ends at once", async (_, verb) => {
    await using proxy = await UnreliableProxy.start(cluster.port);
    proxy.silence();
    const stop = new AbortController();
    const running = verb(request("app.db", proxy.through(cluster.url), stop.signal));
    const ended = expect(running).rejects.toBe(STOPPED);
    await expect.poll(() => proxy.made).toBe(1);
    stop.abort(STOPPED);
    await ended;
  });

  it.each<[string, string, (it: Silenced) => Promise<unknown>]>([
    ["plan tries its translation", "CREATE SCHEMA", (it) => planMigration(it.through)],
    ["status reads the journal", "lifeboat.migrations", (it) => migrationStatus(it.through)],
    [
      "the live schema is read",
      "FROM pg_class",
      (it) => readPostgresTables(it.through.postgres, it.through.signal),
    ],
    [
      "it is asked what is kept for the way back",
      "pg_total_relation_size",
      (it) => keptForTheWayBack(it.through.postgres, it.through.signal),
    ],
  ])("as %s, ends with the reason of the stop", async (_, words, ask) => {
    await using it = await silenced();
    it.proxy.silenceAt(words, it.swallow);
    await expect(ask(it)).rejects.toBe(STOPPED);
  });

  it.each([
    "claim the migration",
    "prepare Postgres for writes",
    "compare the last rows",
    "switch the product to Postgres",
  ])("as cutover begins to %s, is given back on a new connection", async (title) => {
    await using it = await silenced();
    const run = before(title, it.forget);
    await expect(cutoverMigration({ ...it.through, run })).rejects.toBe(STOPPED);
    it.write();
    expect(await it.phase()).toBe("loaded");
    await cutoverMigration(it.direct);
    expect(it.write).toThrow("writes refused");
  });

  it("in the midst of a cutover, lets SQLite take writes at once where no connection is to be had, and says so", async () => {
    await using it = await silenced();
    const run = before("compare the last rows", it.swallow);
    await expect(cutoverMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "CUTOVER_HALF_DONE",
      message: expect.stringContaining("SQLite takes the product's writes; nothing is lost"),
      remedy: expect.stringContaining("migrate cutover again, or lifeboat migrate abort"),
    });
    it.write();
    await cutoverMigration(it.direct);
    expect(it.write).toThrow("writes refused");
  });

  it("leaves to another run what that has put in force while a new connection was tried", async () => {
    await using it = await silenced();
    const run = before("compare the last rows", it.swallow);
    const cutover = expect(cutoverMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "CUTOVER_HALF_DONE",
      message: expect.stringContaining("another run has moved the migration on"),
    });
    await expect.poll(() => it.proxy.made).toBe(2);
    it.one.sqlite("UPDATE lifeboat_state SET until = until + 600000");
    await cutover;
    expect(it.write).toThrow("writes refused");
  });

  it("before a cutover has begun, says that its journal may tell otherwise", async () => {
    await using it = await silenced();
    const run = before("claim the migration", it.swallow);
    await expect(cutoverMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "CUTOVER_HALF_DONE",
      message: expect.stringContaining("SQLite was not touched"),
    });
    it.write();
    await abortMigration(it.direct);
  });

  it.each(["remove the capture from SQLite", "close the journal"])(
    "as a cutover begins to %s, leaves the product in Postgres and says what ends it",
    async (title) => {
      await using it = await silenced();
      const run = before(title, it.swallow);
      const cutover: CutoverRequest = { ...it.through, run };
      await expect(cutoverMigration(cutover)).rejects.toMatchObject({
        code: "CUTOVER_UNFINISHED",
        remedy: expect.stringContaining("migrate cutover again"),
      });
      expect(it.write).toThrow("writes refused");
      await it.writePostgres(1);
      await cutoverMigration({ ...it.direct, onCutover: () => Promise.reject(new Error("again")) });
      expect(await it.phase()).toBe("cut-over");
    },
  );

  it.each(["bring the last changes to SQLite", "let SQLite take writes"])(
    "as rollback begins to %s, is given back on a new connection",
    async (title) => {
      await using it = await silenced();
      await cutoverMigration(it.direct);
      const run = before(title, it.forget);
      await expect(rollbackMigration({ ...it.through, run })).rejects.toBe(STOPPED);
      await it.writePostgres(1);
      expect(it.write).toThrow("writes refused");
      expect(await it.phase()).toBe("cut-over");
    },
  );

  it("in the midst of a rollback, says that both sides may refuse where no connection is to be had", async () => {
    await using it = await silenced();
    await cutoverMigration(it.direct);
    const run = before("bring the last changes to SQLite", it.swallow);
    await expect(rollbackMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "ROLLBACK_HALF_DONE",
      message: expect.stringContaining("Postgres refuses writes, and SQLite refuses them"),
    });
    await rollbackMigration(it.direct);
    it.write();
  });

  it("as a rollback closes its journal, leaves the product in SQLite and says what ends it", async () => {
    await using it = await silenced();
    await cutoverMigration(it.direct);
    const run = before("close the journal", it.swallow);
    await expect(rollbackMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "ROLLBACK_UNFINISHED",
      remedy: expect.stringContaining("migrate rollback again"),
    });
    it.write();
    await expect(it.writePostgres(1)).rejects.toThrow("moved back to SQLite");
    await rollbackMigration(it.direct);
    expect(await it.phase()).toBe("rolled-back");
  });

  it.each(["remove the capture from Postgres", "remove schema lifeboat from Postgres"])(
    "as finish begins to %s, says what can't be known and is ended by the next run",
    async (title) => {
      await using it = await silenced();
      await cutoverMigration(it.direct);
      const run = before(title, it.forget);
      await expect(finishMigration({ ...it.through, run })).rejects.toMatchObject({
        code: "FINISH_STOPPED",
        message: expect.stringMatching(/can't be told\.$/),
        remedy: expect.stringContaining("NOTHING_TO_FINISH then means that nothing is"),
      });
      await it.writePostgres(1);
      expect(await finishMigration(it.direct)).toMatchObject({ live: "postgres", findings: [] });
    },
  );

  it.each([
    "hold the loaded tables still in Postgres",
    "leave the loaded tables to Postgres",
    "remove schema lifeboat from Postgres",
  ])(
    "as abort begins to %s, says what can't be known and is ended by the next run",
    async (title) => {
      await using it = await silenced();
      const run = before(title, it.forget);
      await expect(abortMigration({ ...it.through, run })).rejects.toMatchObject({
        code: "ABORT_STOPPED",
        message: expect.stringMatching(/can't be told\.$/),
      });
      it.write();
      await it.writePostgres(1);
      await abortMigration(it.direct);
      expect(await it.phase()).toBe("none");
    },
  );

  it("says where even its session could not be ended, which may hold locks", async () => {
    await using it = await silenced();
    const run = before("leave the loaded tables to Postgres", it.swallow);
    await expect(abortMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "ABORT_STOPPED",
      message: expect.stringContaining("Nor could its session be ended there"),
    });
  });
});

describe.concurrent("a cutover whose server falls silent within the freeze", () => {
  it("is given back once the budget is over, by nobody's hand", async () => {
    await using it = await silenced();
    const run = before("prepare Postgres for writes", () => {
      it.proxy.silence();
      it.proxy.speak();
    });
    const { signal } = it.direct;
    const cutover = { ...it.through, signal, run, budgetSeconds: 1 };
    await expect(cutoverMigration(cutover)).rejects.toMatchObject({ code: "CUTOVER_TOO_SLOW" });
    it.write();
    expect(await it.phase()).toBe("loaded");
  });

  it("and takes its session for alive, is given back: that session is ended", async () => {
    await using it = await silenced();
    const run = before("compare the last rows", () => it.proxy.cutClients());
    await expect(cutoverMigration({ ...it.through, run })).rejects.toMatchObject({
      code: "POSTGRES_LOST",
    });
    it.write();
    await cutoverMigration(it.direct);
  });
});
