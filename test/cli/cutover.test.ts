import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { BIN, errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  sqlite(
    "create table orders (id integer primary key, note text); insert into orders values (1, 'first')",
  );
  await configure({ onCutover: 'printf "%s in %s" "$LIFEBOAT_APP" "$LIFEBOAT_ENGINE" > switched' });
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

const configure = (migrate: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "shop.db" },
    postgres: { url: cluster.superuserUrl },
    migrate,
    ...more,
  });

function sqlite(sql: string): void {
  const database = new Database(place.at("shop.db"));
  database.pragma("journal_mode = WAL");
  database.exec(sql);
  database.close();
}

async function json(...words: string[]) {
  const ran = await place.run([...words, "--json"]);
  expect(ran.status, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout);
}

function watch(...words: string[]) {
  const child = spawn(process.execPath, [BIN, "watch", "--quiet", ...words], {
    cwd: place.path,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { ended: once(child, "exit"), stop: () => child.kill("SIGTERM") };
}

interface Recorded {
  readonly user: string;
  readonly steps: readonly { readonly title: string; readonly ok: boolean }[];
  readonly details: Readonly<Record<string, unknown>>;
}

/** What the repository holds of the runs of a verb, the oldest first. */
async function recordsOf(verb: string): Promise<Recorded[]> {
  const folder = place.at("repository/shop/migrations");
  const names = (await readdir(folder)).filter((name) => name.endsWith(`-${verb}.json`)).toSorted();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"))),
  );
}

const SWITCH_BACK = ["sh", "-c", 'printf "%s" "$LIFEBOAT_ENGINE" > switched'];
const SKIPPED = ["--skip", "archive", "--skip", "drill"];

describe("a product is moved to Postgres by the command", () => {
  test("status says what comes first", async () => {
    expect(await json("migrate", "status")).toMatchObject({ phase: "none", captured: false });
    expect((await place.run(["migrate", "sync"])).status).toBe(5);
    expect((await place.run(["migrate", "cutover"])).status).toBe(5);
    expect((await place.run(["migrate", "abort"])).status).toBe(5);
  });

  test("load begins to log SQLite's writes, and sync brings them", async () => {
    await json("migrate", "load");
    sqlite("insert into orders values (2, 'second')");
    expect(await json("migrate", "status")).toMatchObject({
      phase: "loaded",
      captured: true,
      waiting: 1,
    });
    expect(await json("migrate", "sync", "--until", "caught-up")).toMatchObject({
      phase: "sync",
      direction: "sqlite-to-postgres",
      tables: [{ name: "orders", rows: 1 }],
      waiting: 0,
    });
    expect(await json("migrate", "verify")).toMatchObject({ ok: true, rows: 2 });
  });

  test("a gate that is not met is exit 3, all of them are told, and SQLite goes on", async () => {
    const ran = await place.run(["migrate", "cutover", "--json"]);
    expect(ran.status).toBe(3);
    const error = errorOf(ran);
    expect(error.code).toBe("GATE_NOT_MET");
    expect(error.message).toMatch(/gate archive: .*; gate drill: no backup was ever drilled/);
    sqlite("insert into orders values (3, 'third')");
    expect((await place.run(["migrate", "cutover", "--skip", "speed"])).status).toBe(2);
  });

  test("a role that may not take the backup that follows is a gate, with what lets it, before anything is done", async () => {
    const url = new URL(cluster.superuserUrl);
    await cluster.query(`create role mover login password 'moves' in role ${url.username}`);
    Object.assign(url, { username: "mover", password: "moves" });
    await configure({}, { postgres: { url: url.href } });
    const ran = await place.run(["migrate", "cutover", ...SKIPPED, "--json"]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran)).toMatchObject({
      code: "GATE_NOT_MET",
      message: expect.stringMatching(/^gate backup: role "mover" may not start a WAL sender/),
      remedy: expect.stringContaining("backup: as a superuser: alter role mover replication"),
    });
    expect((await json("migrate", "status")).phase).toBe("loaded");
    expect((await json("list")).backups).toEqual([]);
    await configure({});
  });

  test("a repository that takes nothing more is a gate, before anything is done", async () => {
    const probes = place.at("repository/shop/locks/doctor");
    await mkdir(dirname(probes), { recursive: true });
    await writeFile(probes, "");
    const ran = await place.run(["migrate", "cutover", ...SKIPPED, "--json"]);
    await rm(probes);
    expect(ran.status).toBe(3);
    expect(errorOf(ran).message).toMatch(/^gate backup: .*repository/);
    expect((await json("list")).backups).toEqual([]);
  });

  test("a product's role that may not use what was loaded is a gate and an error for the doctor, who else asks for its name", async () => {
    const told = async () => {
      const { stdout } = await place.run(["doctor", "--json"]);
      const { findings } = JSON.parse(stdout) as { findings: { id: string; severity: string }[] };
      return findings.filter(({ id }) => id.startsWith("app-role"));
    };
    const unknown = [{ id: "app-role-unknown", severity: "info" }];
    expect(await told()).toMatchObject(unknown);
    await configure({}, { repository: { type: "filesystem", path: "shop.db/in-a-file" } });
    expect(await told()).toMatchObject(unknown);
    await configure({ appRole: { env: "SHOP_ROLE" } });
    expect(errorOf(await place.run(["migrate", "plan", "--json"])).message).toContain(
      "migrate.appRole: the environment variable SHOP_ROLE is not set",
    );
    await configure({ appRole: "shop" });
    expect(await told()).toMatchObject([{ id: "app-role-missing", severity: "error" }]);
    await cluster.query("create role shop login");
    const [found] = await told();
    expect(found).toMatchObject({
      id: "app-role-rights",
      severity: "error",
      summary: "role shop (migrate.appRole) lacks SELECT, INSERT, UPDATE, DELETE on orders",
      remedy: expect.stringContaining(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."orders" TO "shop"',
      ),
    });
    const ran = await place.run(["migrate", "cutover", ...SKIPPED, "--json"]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran).message).toBe(`gate rights: ${(found as { summary?: string }).summary}`);
    const { sql } = await json("doctor", "--sql");
    expect(sql).toMatch(/^grant usage on schema "public" to "shop";$/m);
    await cluster.query(
      "grant all on orders to shop; grant usage on sequence orders_id_seq to shop",
    );
    expect(await told()).toEqual([]);
    const { text } = await json("runbook", "cutover");
    expect(text).toMatch(/^rights +met +…$/m);
    expect(text).toContain("| the product's own role there | `shop` |");
  });

  test("a switch that fails is told with what it said, which the repository does not keep, and SQLite goes on", async () => {
    await configure({ onCutover: "echo 'no such host: s3cret' >&2; exit 7" });
    const ran = await place.run(["migrate", "cutover", ...SKIPPED, "--json"]);
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({
      code: "SWITCH_FAILED",
      message: expect.stringMatching(/exit status 7/),
      details: { said: "no such host: s3cret" },
    });
    expect(ran.stderr).toContain("no such host");
    const record = (await recordsOf("cutover")).at(-1);
    expect(record).toMatchObject({ ok: false, verb: "cutover", live: null, app: "shop" });
    expect(record?.user).not.toBe("");
    expect(record?.steps.at(-1)).toMatchObject({
      title: "switch the product to Postgres",
      ok: false,
      message: expect.stringContaining("exit status 7"),
    });
    expect(JSON.stringify(record)).not.toContain("s3cret");
    sqlite("insert into orders values (4, 'fourth')");
    const text = (await place.run(["migrate", "status"])).stdout;
    expect(text).toMatch(/^SQLite +logs its writes\nPostgres +REFUSES writes$/m);
    expect(text).toMatch(/^warning .*the next migrate cutover lets Postgres take writes/m);
  });

  test("a switch that takes longer than the budget is ended, and SQLite goes on", async () => {
    await configure({ budget: "1s", onCutover: ["sleep", "60"] });
    const ran = await place.run(["migrate", "cutover", ...SKIPPED, "--json"]);
    expect(errorOf(ran)).toMatchObject({
      code: "CUTOVER_TOO_SLOW",
      message: expect.stringContaining("within 1 s;"),
    });
    sqlite("insert into orders values (5, 'fifth')");
  });

  test("status alerts to what a cutover that was killed has left in SQLite, and to a log that nobody brings", async () => {
    const alert = async (wanted: string) => {
      const { status, stdout } = await place.run(["status", "--check", "--json"]);
      expect(status).toBe(1);
      const { alerts } = JSON.parse(stdout) as { alerts: { id: string; severity: string }[] };
      return alerts.find(({ id }) => id === wanted)?.severity;
    };
    sqlite("update lifeboat_state set refused = 1, until = 1");
    expect(await alert("cutover-broken-off")).toBe("warning");
    sqlite("update lifeboat_state set until = null");
    expect(await alert("cutover-broken-off")).toBe("error");
    sqlite("update lifeboat_state set refused = 0");
    sqlite("insert into lifeboat_log (seq, tbl, k1) values (2000000, 0, 1)");
    expect(await alert("changes-wait")).toBe("warning");
    await json("migrate", "sync", "--until", "caught-up");
    expect(await alert("changes-wait")).toBeUndefined();
    expect(await alert("cutover-broken-off")).toBeUndefined();
  });

  test("status tells of a SQLite file that can't be read, and of all else", async () => {
    const path = place.at("shop.db");
    await rename(path, `${path}.aside`);
    await writeFile(path, "this is no database, however long it may be");
    const { stdout } = await place.run(["status", "--json"]);
    await rename(`${path}.aside`, path);
    const { alerts } = JSON.parse(stdout) as { alerts: { id: string }[] };
    expect(alerts.map(({ id }) => id)).toContain("sqlite-unreadable");
  });

  test("cutover takes backups of both sides, holds writers, switches the product and is recorded", async () => {
    await configure({
      onCutover: 'printf "%s in %s" "$LIFEBOAT_APP" "$LIFEBOAT_ENGINE" > switched',
      onRollback: SWITCH_BACK,
    });
    const report = await json("migrate", "cutover", ...SKIPPED);
    expect(report).toMatchObject({
      phase: "cutover",
      gates: [
        { name: "lag", ok: true },
        { name: "verified", ok: true },
        { name: "archive", ok: false, skipped: true },
        { name: "drill", ok: false, skipped: true },
        { name: "disk", ok: true },
      ],
    });
    expect(report.holdSeconds).toBeGreaterThan(0);
    expect(report.switchSeconds).toBeGreaterThan(0);
    expect(report.backups).toHaveLength(2);
    expect((await recordsOf("cutover")).at(-1)?.details.movedAt).toBe(report.movedAt);
    expect(await readFile(place.at("switched"), "utf8")).toBe("shop in postgres");
    expect(() => sqlite("insert into orders values (6, 'late')")).toThrow(
      "lifeboat: moved to Postgres, writes refused",
    );
    const list = await json("list");
    expect(list.live).toBe("postgres");
    expect(list.backups.map((one: { engine: string }) => one.engine)).toEqual(
      expect.arrayContaining(["sqlite", "postgres"]),
    );
    for (const engine of ["sqlite", "postgres"]) {
      const { lastBackup, lastDrill, windows } = await json("status", "--engine", engine);
      expect(lastDrill?.engine ?? engine).toBe(engine);
      const shown = [lastBackup, ...windows].map((one: { engine: string }) => one.engine);
      expect(new Set(shown)).toEqual(new Set([engine]));
    }
    const text = await place.run(["migrate", "status"]);
    expect(text.stdout).toMatch(/^phase +cut-over$/m);
    expect(text.stdout).toMatch(/^SQLite +REFUSES writes\nPostgres +takes writes$/m);
  });

  test("watch keeps SQLite behind Postgres from then on", async () => {
    await configure({ onRollback: SWITCH_BACK }, { archive: { mode: "receive" } });
    const { ended, stop } = watch();
    try {
      await cluster.query("insert into orders values (70, 'while a watch runs')");
      const note = () => {
        const database = new Database(place.at("shop.db"), { readonly: true });
        try {
          return database.prepare("select note from orders where id = 70").pluck().get();
        } finally {
          database.close();
        }
      };
      await expect.poll(note).toBe("while a watch runs");
    } finally {
      stop();
    }
    expect((await ended)[0]).toBe(143);
  });

  test("a copy of SQLite from then says that it refuses writes, and is released for whoever wants to write there", async () => {
    const restored = async (to: string, at: string) => {
      const words = ["--engine", "sqlite", "--to", to, "--backup", at];
      const { findings, path } = await json("restore", ...words);
      const said = findings.find(({ id }: { id: string }) => id === "copy-of-a-migration");
      return { summary: said?.summary, remedy: said?.remedy, path };
    };
    const [before] = (await json("list")).backups.filter(
      ({ engine }: { engine: string }) => engine === "sqlite",
    );
    const early = await restored("early", before.id);
    expect(early.summary).toContain("logs each write");
    const { id } = await json("backup", "--engine", "sqlite");
    const late = await restored("late", id);
    expect(late.summary).toContain("refuses the product's writes");
    expect(late.remedy).toBe(
      `before the product writes there: lifeboat migrate release ${late.path}`,
    );
    const own = await place.run(["migrate", "release", "shop.db", "--json"]);
    expect(own.status).toBe(3);
    expect(errorOf(own).code).toBe("NOT_A_COPY");
    for (const { path } of [early, late]) {
      expect(await json("migrate", "release", path)).toMatchObject({ released: true });
      const copy = new Database(path);
      copy.exec("insert into orders values (100, 'in a copy')");
      expect(
        copy.prepare("select name from sqlite_schema where name like 'lifeboat%'").all(),
      ).toEqual([]);
      copy.close();
      expect(await json("migrate", "release", path)).toMatchObject({ released: false });
    }
    expect((await place.run(["migrate", "release", "nowhere.db"])).status).toBe(2);
  });

  test("sync then follows the other way", async () => {
    await cluster.query("insert into orders values (7, 'in Postgres')");
    expect(await json("migrate", "sync", "--until", "caught-up")).toMatchObject({
      direction: "postgres-to-sqlite",
      rows: 1,
    });
  });

  test("a writer of Postgres that does not end keeps a rollback waiting for the budget, and no longer", async () => {
    await configure({ budget: "1s" });
    const busy = new pg.Client(cluster.superuserUrl);
    await busy.connect();
    await busy.query("begin; insert into orders values (71, 'long')");
    expect(errorOf(await place.run(["migrate", "rollback", "--json"]))).toMatchObject({
      code: "WRITERS_BUSY",
      message: expect.stringContaining("did not end within 1 s"),
    });
    await busy.query("rollback");
    await busy.end();
  });

  test("a switch back that is stopped meanwhile is ended, with what it has started, and called by the next rollback", async () => {
    const onRollback = "echo $$ > begun; sleep 600";
    await configure({ onRollback });
    const child = spawn(process.execPath, [BIN, "migrate", "rollback", "--quiet"], {
      cwd: place.path,
      env: { ...process.env, ...place.environment },
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    const group = async () => Number(await readFile(place.at("begun"), "utf8").catch(() => "0"));
    await expect.poll(group).toBeGreaterThan(0);
    child.kill("SIGTERM");
    expect((await ended)[0]).toBe(143);
    // Whoever adopts it may be slow to bury it.
    const stat = await readFile(`/proc/${await group()}/stat`, "utf8").catch(() => ") X ");
    expect(stat).toMatch(/\) [ZX] /);
    expect((await json("migrate", "status")).phase).toBe("rolling-back");
    sqlite("insert into orders values (60, 'SQLite takes writes again')");
    expect((await json("list")).live).toBe("postgres");
  });

  test("rollback leads back by the product's own switch", async () => {
    await configure({ onRollback: SWITCH_BACK });
    await json("migrate", "rollback");
    expect(await readFile(place.at("switched"), "utf8")).toBe("sqlite");
    sqlite("insert into orders values (8, 'back')");
    expect((await json("list")).live).toBe("sqlite");
    expect((await place.run(["migrate", "status"])).stdout).toMatch(
      /^SQLite +takes writes, which are not logged\nPostgres +REFUSES writes$/m,
    );
    await json("migrate", "finish");
    expect(await json("migrate", "status")).toMatchObject({ phase: "none", captured: false });
  });

  test("abort ends a migration before its cutover and leaves nothing", async () => {
    await cluster.query("drop table orders");
    const load = ["migrate", "load", "--json"];
    expect(errorOf(await place.runUnrecorded(load)).code).toBe("RECORD_NOT_WRITTEN");
    expect(await json("migrate", "status")).toMatchObject({ phase: "loaded", captured: true });
    expect(await json("migrate", "load")).toMatchObject({ findings: [{ id: "loaded-before" }] });
    expect(errorOf(await place.run(load)).code).toBe("TARGET_NOT_EMPTY");
    const abort = await place.runUnrecorded(["migrate", "abort", "--drop-loaded", "--json"]);
    expect(errorOf(abort).code).toBe("RECORD_NOT_WRITTEN");
    expect(await json("migrate", "abort", "--drop-loaded")).toMatchObject({
      phase: "abort",
      tables: [{ name: "orders", dropped: true }],
    });
    expect(await json("migrate", "status")).toMatchObject({ phase: "none", captured: false });
    expect((await json("list")).live).toBe("sqlite");
    sqlite("insert into orders values (9, 'as ever')");
  });

  test("a cutover whose gates are all met needs none of them passed over", async () => {
    await configure({}, { archive: { mode: "receive" } });
    await json("backup", "--engine", "sqlite");
    await json("drill");
    await json("migrate", "load");
    const refused = errorOf(await place.run(["migrate", "cutover", "--json"]));
    expect(refused).toMatchObject({
      code: "GATE_NOT_MET",
      message: expect.stringMatching(/^gate archive: [^;]*$/),
    });
    const { ended, stop } = watch("--engine", "postgres");
    try {
      const met = async () => {
        const { stdout } = await place.run(["migrate", "cutover", "--json"]);
        return JSON.parse(stdout).gates;
      };
      await expect.poll(met).toEqual([
        { name: "lag", ok: true, skipped: false, message: expect.anything(), remedy: "" },
        { name: "verified", ok: true, skipped: false, message: expect.anything(), remedy: "" },
        {
          ...{ name: "archive", ok: true, skipped: false, remedy: "" },
          message: expect.stringMatching(/^WAL is archived up to \w+$/),
        },
        {
          ...{ name: "drill", ok: true, skipped: false, remedy: "" },
          message: expect.stringMatching(/^the last drill passed /),
        },
        {
          ...{ name: "disk", ok: true, skipped: false, remedy: "" },
          message: expect.stringMatching(/ left; the database has [1-9]/),
        },
      ]);
    } finally {
      stop();
    }
    expect((await ended)[0]).toBe(143);
    await json("migrate", "finish");
    expect((await json("list")).live).toBe("postgres");
  });
});
