import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;

const drizzle = (dialect: string) => import.meta.resolve(`drizzle-orm/${dialect}-core`);

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  await place.write("package.json", { type: "module" });
  await place.write(
    "sqlite-schema.js",
    `import { integer, sqliteTable, text } from "${drizzle("sqlite")}";
     export const orders = sqliteTable("orders", { id: integer().primaryKey(), note: text().notNull() });`,
  );
  await place.write(
    "postgres-schema.js",
    `import { bigint, pgTable, text } from "${drizzle("pg")}";
     export const orders = pgTable("orders", { id: bigint({ mode: "number" }).primaryKey(), note: text().notNull() });`,
  );
  await place.write(
    "lifeboat.config.js",
    `export default {
       app: "shop",
       repository: { type: "filesystem", path: "repository" },
       sqlite: { path: "shop.db" },
       postgres: { url: ${JSON.stringify(cluster.superuserUrl)} },
       schema: { sqlite: () => import("./sqlite-schema.js"), postgres: () => import("./postgres-schema.js") },
     };`,
  );
  const database = new Database(place.at("shop.db"));
  database.exec("create table orders (id integer primary key, note text not null)");
  database.close();
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

async function drifts(): Promise<string[]> {
  const { stdout } = await place.run(["doctor", "--json"]);
  const { findings } = JSON.parse(stdout) as { findings: { id: string; summary: string }[] };
  return findings.filter(({ id }) => id.startsWith("drift-")).map(({ summary }) => summary);
}

test("doctor finds no drift where drizzle's schema is what the database holds, nor in a Postgres still empty", async () => {
  expect(await drifts()).toEqual([]);
});

test("doctor names each table and column in which a live database differs from drizzle's schema", async () => {
  const database = new Database(place.at("shop.db"));
  database.exec("alter table orders add column paid integer");
  database.exec("create table coupons (code text)");
  database.close();
  await cluster.query("create table orders (id bigint primary key, note integer)");
  expect((await drifts()).toSorted()).toEqual([
    "Postgres: orders.note is declared NOT NULL and is nullable",
    "Postgres: orders.note is declared text and is integer",
    "SQLite: orders.paid is there and not declared",
    "SQLite: table coupons is there and not declared",
  ]);
});
