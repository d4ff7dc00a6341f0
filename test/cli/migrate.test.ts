import { readFile, stat } from "node:fs/promises";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;

function configuration(sqlite: unknown, more = {}) {
  return {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite,
    postgres: { url: cluster.superuserUrl },
    ...more,
  };
}

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  const database = new Database(place.at("shop.db"));
  database.pragma("journal_mode = WAL");
  database.exec("create table orders (id integer primary key, note text not null, price real)");
  database.exec("insert into orders (note, price) values ('first', 1.5), ('second', 2.25)");
  database.close();
  await place.write("lifeboat.config.json", configuration({ path: "shop.db" }));
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

describe("a SQLite database is moved to Postgres", () => {
  test("plan says how each column goes over, and writes it to a file when asked", async () => {
    const ran = await place.run(["migrate", "plan", "--out", "plan.json", "--json"]);
    expect(ran.status).toBe(0);
    const plan = JSON.parse(ran.stdout);
    expect(plan).toMatchObject({
      phase: "plan",
      tables: [{ name: "orders", rows: 2 }],
      findings: [],
    });
    expect(JSON.parse(await readFile(place.at("plan.json"), "utf8"))).toEqual(plan);
    // It holds keys of rows.
    expect((await stat(place.at("plan.json"))).mode & 0o777).toBe(0o600);
  });

  test("plan replaces an earlier plan and nothing else", async () => {
    expect((await place.run(["migrate", "plan", "--out", "plan.json"])).status).toBe(0);
    const ran = await place.run(["migrate", "plan", "--out", "lifeboat.config.json", "--json"]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran).code).toBe("FILE_EXISTS");
  });

  test("plan shows its progress, and of each table what is stored in its columns and what becomes of them", async () => {
    const { stdout, stderr } = await place.run(["migrate", "plan"]);
    expect(stderr).toMatch(/profile the stored values.*orders: 2 rows read/);
    expect(stdout.split("\n\n")[0]).toBe(
      [
        "orders: 2 rows, 43 B",
        "column  declared  stored      in Postgres               written as",
        "id      INTEGER   2 integers  bigint not null identity",
        "note    TEXT      2 texts     text not null",
        "price   REAL      2 reals     double precision",
      ].join("\n"),
    );
    expect(stdout).toContain('CREATE TABLE "public"."orders" (');
  });

  test("plan tells how long a load may take, and that it is an estimate", async () => {
    const ran = await place.run(["migrate", "plan"]);
    expect(ran.stdout).toMatch(/^2 rows, .*: a load takes about 2 s \(an estimate/m);
    const { sizes } = JSON.parse((await place.run(["migrate", "plan", "--json"])).stdout);
    expect(sizes).toEqual({ tables: 1, rows: 2, bytes: expect.any(Number), expectedSeconds: 2 });
  });

  test("plan emits the schema for drizzle: alone on standard output, in a file, and in its JSON", async () => {
    const emit = ["migrate", "plan", "--emit", "drizzle"];
    const { stdout, status } = await place.run(emit);
    expect(status).toBe(0);
    expect(stdout).toContain(`export const orders = pgTable("orders", {\n`);
    expect(stdout).toContain(`  note: text("note").notNull(),\n`);
    expect(JSON.parse((await place.run([...emit, "--json"])).stdout)).toMatchObject({
      phase: "plan",
      drizzle: stdout,
    });
    for (let run = 0; run < 2; run++) {
      const written = await place.run([...emit, "--out", "schema.ts"]);
      expect(written.stdout).toContain("nothing stands in the way");
      expect(await readFile(place.at("schema.ts"), "utf8")).toBe(stdout);
    }
    const refused = await place.run([...emit, "--out", "plan.json", "--json"]);
    expect(refused.status).toBe(3);
    expect(errorOf(refused).code).toBe("FILE_EXISTS");
  });

  test("verify before any load is exit 5", async () => {
    expect((await place.run(["migrate", "verify"])).status).toBe(5);
  });

  test("load by a plan that was changed, is none or goes with --offline is wrong usage, as is a pace there is not", async () => {
    await place.write("changed.json", { format: 1, phase: "plan", digest: "0" });
    for (const [words, code] of [
      [["--plan", "changed.json"], "PLAN_CHANGED"],
      [["--plan", "lifeboat.config.json"], "PLAN_UNREADABLE"],
      [["--plan", "nowhere.json"], "PLAN_UNREADABLE"],
      [["--plan", "plan.json", "--offline"], "USAGE"],
      [["--pace", "full", "--offline"], "USAGE"],
      [["--pace", "slow"], "USAGE"],
    ] as const) {
      const ran = await place.run(["migrate", "load", ...words, "--json"]);
      expect(ran.status).toBe(2);
      expect(errorOf(ran).code).toBe(code);
    }
  });

  test("load copies the rows, and verify finds both sides equal", async () => {
    const loaded = await place.run([
      "migrate",
      "load",
      "--plan",
      "plan.json",
      "--pace",
      "full",
      "--json",
    ]);
    expect(loaded.status).toBe(0);
    expect(JSON.parse(loaded.stdout)).toMatchObject({
      phase: "load",
      tables: [{ name: "orders", rows: 2 }],
      restedSeconds: 0,
    });
    const verified = await place.run(["migrate", "verify", "--json"]);
    expect(verified.status).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ phase: "verify", ok: true });
  });

  test("a second load is refused", async () => {
    const ran = await place.run(["migrate", "load", "--json"]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran).code).toBe("TARGET_NOT_EMPTY");
  });

  test("verify names a row that was changed on one side, with exit 1", async () => {
    await cluster.query("update orders set note = 'changed' where id = 2");
    const ran = await place.run(["migrate", "verify"]);
    expect(ran.status).toBe(1);
    expect(ran.stdout).toContain("1 DIFFER");
  });
});

describe("migrate is refused", () => {
  test("with exit 1 while the plan has an unanswered error, and the answer is shown", async () => {
    const database = new Database(place.at("broken.db"));
    database.pragma("foreign_keys = off");
    database.exec("create table a (id integer primary key)");
    database.exec("create table b (a integer not null references a (id))");
    database.exec("insert into b values (7), (8)");
    database.exec("create trigger kept before delete on a begin select raise(abort, 'no'); end");
    database.close();
    await place.write("broken.json", configuration({ path: "broken.db" }));
    const ran = await place.run(["migrate", "plan", "--config", "broken.json"]);
    expect(ran.status).toBe(1);
    expect(ran.stdout).toMatch(/^ERROR /m);
    expect(ran.stdout).toContain('answer: "b.a": {"constraint":"skip"}');
    expect(ran.stdout).toContain("2 in all, such as 1; 2");
    expect(ran.stdout).toContain('CREATE FUNCTION "public"."kept"() RETURNS trigger');
    expect(ran.stdout).toContain("1 error has to be answered in migrate.columns");
    const emit = ["migrate", "plan", "--emit", "drizzle", "--config", "broken.json"];
    const emitted = await place.run(emit);
    expect([emitted.status, emitted.stdout.split("\n")[1]]).toEqual([
      1,
      "// NOT FINAL: errors of the plan are to be answered first (1), and columns may change by that.",
    ]);
  });

  test.each([
    ["several databases", [{ path: "shop.db" }, { path: "broken.db" }], []],
    ["an engine", { path: "shop.db" }, ["--engine", "sqlite"]],
  ])("with exit 2 for %s", async (_, sqlite, words) => {
    await place.write("wrong.json", configuration(sqlite));
    const ran = await place.run(["migrate", "plan", "--config", "wrong.json", "--json", ...words]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).code).toBe("USAGE");
  });

  test("with exit 2 for an answer that none of the findings offers", async () => {
    await place.write(
      "answer.json",
      configuration(
        { path: "shop.db" },
        { migrate: { columns: { "orders.note": { constraint: "maybe" } } } },
      ),
    );
    const ran = await place.run(["migrate", "plan", "--config", "answer.json", "--json"]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).message).toContain("migrate.columns.orders.note.constraint: must be");
  });
});
