import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath, pathToFileURL } from "node:url";
import { driftOf, drizzleSource, type MigrationPlan, readPostgresTables } from "@lifeboat/migrate";
import { execa } from "execa";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { declaredSchemas } from "../../packages/cli/src/drizzle.ts";
import { readCatalog } from "../../packages/migrate/src/compare/read-catalog.ts";
import { createProduct, products } from "../apps/products.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { drizzleDdl } from "./drizzle-ddl.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const NASTY = readFileSync(fileURLToPath(new URL("../data/nasty.sql", import.meta.url)), "utf8");

let cluster: TestCluster;
let one: MigrationCase;
let folder: string;
beforeAll(async () => {
  cluster = await startCluster();
  // Where drizzle is found by a file that lies outside the workspace, as a product's would.
  folder = mkdtempSync(join(tmpdir(), "lifeboat-emitted-"));
  symlinkSync(
    fileURLToPath(new URL("../node_modules", import.meta.url)),
    join(folder, "node_modules"),
  );
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await cluster.stop();
});
afterEach(() => one.end());

let emitted = 0;
function write(source: string): string {
  const file = join(folder, `schema-${++emitted}.ts`);
  writeFileSync(file, source);
  return file;
}

async function moduleOf(source: string): Promise<Record<string, unknown>> {
  return import(/* @vite-ignore */ pathToFileURL(write(source)).href);
}

async function catalogOf(url: string, schema: string) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("SET search_path = pg_catalog");
    const { items } = await readCatalog(client, schema);
    return items
      .filter(({ kind }) => kind !== "view")
      .map(({ kind, relation, name, definition }) => `${kind} ${relation}.${name}: ${definition}`)
      .toSorted();
  } finally {
    await client.end();
  }
}

/** Makes the emitted tables in a database of their own, and gives its catalog. */
async function remade(module: Record<string, unknown>, schema: string): Promise<string[]> {
  const name = `remade_${emitted}`;
  await cluster.query(`CREATE DATABASE ${name} OWNER lifeboat`);
  const url = cluster.url.replace(/app$/, name);
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"; SET search_path = pg_catalog`);
  for (const statement of drizzleDdl(module)) await client.query(statement);
  await client.end();
  const catalog = await catalogOf(url, schema);
  await cluster.query(`DROP DATABASE ${name}`);
  return catalog;
}

const withoutDeferring = (items: string[]) =>
  items.map((item) => item.replace(" DEFERRABLE INITIALLY DEFERRED", ""));

/** Emits what was loaded, and expects the same tables of it, and no drift. */
async function expectSame(plan: MigrationPlan): Promise<string> {
  const source = drizzleSource(plan);
  const module = await moduleOf(source);
  const loaded = await catalogOf(one.url, plan.schema);
  expect(loaded.length).toBeGreaterThan(0);
  expect(await remade(module, plan.schema)).toEqual(withoutDeferring(loaded));
  const declared = await declaredSchemas({ postgres: async () => module });
  const live = await readPostgresTables(
    { url: one.url },
    new AbortController().signal,
    plan.schema,
  );
  expect(driftOf(declared.postgres ?? [], live)).toEqual([]);
  expect(declared.postgres).toHaveLength(plan.tables.length);
  return source;
}

describe("the schema that plan emits for drizzle", () => {
  it.each(products)("declares the tables of $name as its load makes them", async (product) => {
    one = await migrationCase(cluster, "");
    one.path = await createProduct(product);
    one.declared = await declaredSchemas(product.schema);
    const plan = await one.answerAll();
    await one.load();
    await expectSame(plan);
  });

  it("declares a hostile schema as its load makes it", async () => {
    one = await migrationCase(cluster, "");
    rmSync(one.path, { force: true });
    const database = new DatabaseSync(one.path, { enableDoubleQuotedStringLiterals: true });
    database.exec(NASTY);
    database.close();
    const open = drizzleSource(await one.plan());
    expect(open).toContain("// NOT FINAL: errors of the plan are to be answered first (17)");
    const plan = await one.answerAll();
    await one.load();
    const source = await expectSame(plan);
    expect(source).toContain("// NOT VALID: rows that break it were kept.");
    expect(source).toContain("// DEFERRABLE INITIALLY DEFERRED in the database.");
    expect(source).not.toContain("NOT FINAL");
  });

  it("names what are no identifiers, clashes with its own words, and texts that are no template", async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE "text"(id INTEGER PRIMARY KEY, "table" TEXT, "enableRLS" INT, "a b" TEXT DEFAULT 'x\`\${y}\\z', a_b INT, aB INT);
       CREATE TABLE "table"(id INTEGER PRIMARY KEY, "class" INT REFERENCES "text", "9lives" INT, "" INT, "__proto__" INT);
       CREATE TABLE sql(k BIGINT, big INT, CHECK (k <> 7), FOREIGN KEY (k) REFERENCES "table"(id) ON DELETE SET NULL);
       CREATE TABLE "shop"("end
of // line" INT, b BLOB); CREATE TABLE bytea(x TEXT COLLATE NOCASE UNIQUE);
       CREATE TABLE acts(id INTEGER PRIMARY KEY, a INT REFERENCES "table"(id) ON DELETE RESTRICT ON UPDATE CASCADE,
         b INT REFERENCES "table"(id) ON DELETE SET DEFAULT, c INT REFERENCES "table"(id) ON DELETE CASCADE, ends TEXT DEFAULT 'a\rb\u2028c');
       CREATE VIEW "of \u2028 acts" AS SELECT id FROM acts;
       CREATE INDEX "by ""name""" ON "text"("a b" DESC, lower("table") DESC) WHERE a_b > 1 AND "table" <> 'it''s, (here)';
       INSERT INTO sql VALUES (NULL, 9007199254740993); INSERT INTO shop VALUES (1, x'00')`,
    );
    one.schema = "shop";
    const plan = await one.answerAll();
    await one.load();
    const source = await expectSame(plan);
    expect(source).toContain('big: bigint("big", { mode: "bigint" })');
    expect(source).toContain("export const bytea = ");
    expect(source).not.toContain("no action");
    expect(source).toContain('k: bigint("k", { mode: "number" })');
    expect(source).toContain('// Views that the load makes too: "of \\u2028 acts".\n');
    expect(drizzleSource(await one.plan())).toBe(source);
  });

  it("is accepted by the compiler, cycles of foreign keys included", async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE a(id INTEGER PRIMARY KEY, b INT REFERENCES b, next INT REFERENCES a);
       CREATE TABLE b(id INTEGER PRIMARY KEY, a INT REFERENCES a, at DATETIME, data BLOB, price NUMERIC, UNIQUE (a, at));
       CREATE TABLE tree(id INTEGER PRIMARY KEY, above INT REFERENCES tree);
       INSERT INTO b VALUES (1, NULL, '2024-01-02 03:04:05', x'00', 1.5)`,
    );
    const file = write(drizzleSource(await one.plan()));
    const tsc = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url));
    const options = "--noEmit --strict --skipLibCheck --module nodenext --target esnext";
    const done = await execa(tsc, [...options.split(" "), file], { cwd: folder, reject: false });
    expect(done.stdout).toBe("");
    expect(done.exitCode).toBe(0);
  });
});
