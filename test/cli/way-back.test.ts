import { readdir, readFile, writeFile } from "node:fs/promises";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cutOverByHand, frozenBy } from "../migration/reverse-case.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { sealedRecord } from "../support/sealed-record.ts";
import { errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;
const taken: Record<string, { id: string; consistentAt: string }> = {};

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  sqlite(
    "create table orders (id integer primary key, note text); insert into orders values (1, 'first')",
  );
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "shop.db" },
    postgres: { url: cluster.superuserUrl },
  });
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

function sqlite(sql: string): void {
  const database = new Database(place.at("shop.db"));
  database.exec(sql);
  database.close();
}

async function json(...words: string[]) {
  const ran = await place.run([...words, "--json"]);
  expect(ran.status, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout);
}

/** As a cutover ends: both sides as it leaves them, and its record in the repository. */
async function cutOver(): Promise<void> {
  await json("migrate", "load", "--offline");
  const plan = await json("migrate", "plan");
  sqlite(frozenBy(plan, await cutOverByHand(cluster.superuserUrl, plan)));
  const startedAt = new Date();
  await sealedRecord(place.at("repository"), "shop", startedAt, "cutover", "postgres");
}

const records = async () => (await readdir(place.at("repository/shop/migrations"))).toSorted();

describe("the engine that is live is the one that the repository's records name", () => {
  test("before any cutover the configuration's first", async () => {
    taken.sqlite = await json("backup");
    expect(taken.sqlite).toMatchObject({ engine: "sqlite" });
    expect((await json("list")).live).toBe("sqlite");
  });

  test("Postgres after a cutover, for backup, list and status", async () => {
    await cutOver();
    expect((await json("list")).live).toBe("postgres");
    const status = await json("status");
    expect(status.live).toBe("postgres");
    expect(JSON.stringify(status.alerts)).not.toContain("way-back-lost");
    await cluster.query("ALTER TABLE orders ADD more text");
    expect((await json("status")).alerts).toContainEqual({
      ...{ id: "way-back-lost", severity: "warning" },
      summary:
        "there is no way back to SQLite: SQLite can't follow Postgres: column more of orders came to Postgres and is not in SQLite",
      remedy: expect.stringContaining("migrate finish --without-sqlite"),
    });
    await cluster.query("ALTER TABLE orders DROP more");
  });

  test("of the way back a role without rights on what the migration made learns nothing, which status says with the rights", async () => {
    const url = new URL(cluster.superuserUrl);
    url.username = "backups";
    await cluster.query(
      `CREATE ROLE backups LOGIN PASSWORD '${url.password}'; GRANT pg_read_all_settings TO backups`,
    );
    const asBackups = {
      ...(JSON.parse(await readFile(place.at("lifeboat.config.json"), "utf8")) as object),
      postgres: { url: url.href },
    };
    await place.write("as-backups.json", asBackups);
    const told = async () => {
      const { alerts } = await json("status", "--config", place.at("as-backups.json"));
      return (alerts as { id: string }[]).filter(({ id }) => id.startsWith("way-back"));
    };
    expect(await told()).toMatchObject([
      {
        id: "way-back-unknown",
        summary: expect.stringContaining("permission denied for schema lifeboat"),
        remedy: expect.stringContaining("grant usage on schema lifeboat"),
      },
    ]);
    await cluster.query("GRANT USAGE ON SCHEMA lifeboat TO backups");
    await cluster.query("GRANT SELECT ON ALL TABLES IN SCHEMA lifeboat TO backups");
    expect(await told()).toEqual([]);
  });

  test("and by what the repository alone holds", async () => {
    taken.postgres = await json("backup");
    expect(taken.postgres).toMatchObject({ engine: "postgres" });
    const alone = await json("list", "--repository", place.at("repository"), "--app", "shop");
    expect(alone.live).toBe("postgres");
  });

  test("an instant before the cutover restores SQLite, one after restores Postgres, by the same command", async () => {
    const before = await json(
      "restore",
      "--to",
      place.at("before"),
      "--at",
      taken.sqlite?.consistentAt ?? "",
    );
    expect(before).toMatchObject({ engine: "sqlite", backup: taken.sqlite?.id });
    const after = await json(
      "restore",
      "--to",
      place.at("after"),
      "--at",
      taken.postgres?.consistentAt ?? "",
    );
    expect(after).toMatchObject({ engine: "postgres", backup: taken.postgres?.id });
  });

  test("SQLite again after a rollback, which is recorded with who, when, each step and its seconds", async () => {
    await cluster.query("insert into orders values (2, 'in Postgres')");
    const report = await json("migrate", "rollback");
    expect(report).toMatchObject({
      phase: "rollback",
      rows: 1,
      tables: [{ name: "orders", written: 1 }],
    });
    expect((await json("list")).live).toBe("sqlite");
    expect(await json("backup")).toMatchObject({ engine: "sqlite" });
    const file = (await records()).find((name) => name.endsWith("-rollback.json"));
    const record = JSON.parse(
      await readFile(place.at(`repository/shop/migrations/${file}`), "utf8"),
    );
    expect(record).toMatchObject({
      ok: true,
      app: "shop",
      verb: "rollback",
      live: "sqlite",
      migration: report.id,
      details: {
        holdSeconds: report.holdSeconds,
        movedAt: report.movedAt,
        switchSeconds: report.switchSeconds,
      },
    });
    expect(record.user).not.toBe("");
    expect(record.steps.map(({ title }: { title: string }) => title)).toContain(
      "let SQLite take writes",
    );
    expect(
      record.steps.every(({ ok, seconds }: { ok: boolean; seconds: number }) => ok && seconds >= 0),
    ).toBe(true);
    const database = new Database(place.at("shop.db"));
    expect(database.prepare("select note from orders order by id").pluck().all()).toEqual([
      "first",
      "in Postgres",
    ]);
    database.close();
  });

  test("a rollback that is run again changes nothing", async () => {
    expect(await json("migrate", "rollback")).toMatchObject({ rows: 0 });
  });

  test("finish ends it once its record is written, and a second finish finds nothing", async () => {
    const unrecorded = await place.runUnrecorded(["migrate", "finish", "--json"]);
    expect(unrecorded.status).toBe(1);
    expect(errorOf(unrecorded)).toMatchObject({
      code: "RECORD_NOT_WRITTEN",
      remedy: expect.stringContaining("run migrate finish again"),
    });
    expect(await json("migrate", "finish")).toMatchObject({ phase: "finish", live: "sqlite" });
    expect((await records()).filter((name) => name.endsWith("-finish.json"))).toHaveLength(1);
    expect((await json("list")).live).toBe("sqlite");
    const again = await place.run(["migrate", "finish", "--json"]);
    expect(again.status).toBe(5);
    expect(errorOf(again).code).toBe("NOTHING_TO_FINISH");
    expect((await place.run(["migrate", "rollback"])).status).toBe(5);
  });

  test("a damaged record is found by verify, and nothing is backed up on a guess", async () => {
    expect((await json("verify")).ok).toBe(true);
    const first = (await records()).find((name) => name.endsWith("-cutover.json"));
    const path = place.at(`repository/shop/migrations/${first}`);
    await writeFile(path, (await readFile(path, "utf8")).replace('"postgres"', '"sqlite"'));
    const verified = await place.run(["verify", "--json"]);
    expect(verified.status).toBe(1);
    expect(JSON.parse(verified.stdout).problems).toMatchObject([
      { object: `shop/migrations/${first}`, code: "MANIFEST_CORRUPT" },
    ]);
    expect((await place.run(["backup"])).status).toBe(2);
    expect((await place.run(["backup", "--engine", "sqlite"])).status).toBe(0);
  });
});
