import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { createProduct, type Product, products, runCommand } from "./products.ts";
import { startTraffic } from "./traffic-process.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster.stop());

describe.each(products)("$name moves to Postgres", (product) => {
  test("without an unanswered error, into the schema it declares, and goes on there", async () => {
    const { environment, url } = await placesOf(product);
    const plan = await runCommand(product, ["migrate", "plan", "--json"], environment);
    expect(plan.exitCode, plan.stdout + plan.stderr).toBe(0);
    const { findings } = JSON.parse(plan.stdout) as { findings: { id: string; summary: string }[] };
    expect(findings.filter(({ id }) => id.startsWith("drift"))).toEqual([]);
    for (const verb of ["load", "verify"]) {
      const done = await runCommand(product, ["migrate", verb, "--json"], environment);
      expect(done.exitCode, done.stdout + done.stderr).toBe(0);
    }
    expect(await failedChecks(product, url)).toEqual([]);
    const before = await ledgerCount(product, url);
    const commits = await writeThere(product, url);
    expect(await ledgerCount(product, url)).toBe(before + commits);
    expect(await failedChecks(product, url)).toEqual([]);
  });
});

async function placesOf(product: Product) {
  await cluster.query(`create database ${product.name} owner lifeboat`, "postgres");
  const path = await createProduct(product);
  const prefix = product.name.toUpperCase();
  const url = cluster.url.replace(/[^/]*$/, product.name);
  const environment = {
    [`${prefix}_REPOSITORY`]: join(dirname(path), "repository"),
    [`${prefix}_SQLITE`]: path,
    [`${prefix}_POSTGRES_URL`]: url,
    LIFEBOAT_STATE_DIRECTORY: join(dirname(path), "state"),
  };
  return { environment, url };
}

/** Some transactions of the product; how many it was told are committed. */
async function writeThere(product: Product, url: string): Promise<number> {
  const { password, href } = parts(url);
  const traffic = startTraffic(product, ["--url", href], { PGPASSWORD: password });
  await traffic.acknowledged(150);
  expect(await traffic.end("SIGTERM")).toBe(0);
  return traffic.ledger.length;
}

function parts(url: string): { password: string; href: string } {
  const parsed = new URL(url);
  const { password } = parsed;
  parsed.password = "";
  return { password, href: parsed.href };
}

async function failedChecks(product: Product, url: string): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, sql } of product.checks)
    if ((await first(url, String(sql))) !== true) failed.push(name);
  return failed;
}

async function ledgerCount(product: Product, url: string): Promise<number> {
  return Number(await first(url, `select count(*) from ${product.ledger}`));
}

async function first(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}
