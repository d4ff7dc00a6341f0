import { spawn } from "node:child_process";
import { once } from "node:events";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { createProduct, failedChecks, type Product, products } from "./products.ts";
import { startTraffic } from "./traffic-process.ts";

describe.each(products)("traffic of $name", (product) => {
  test("keeps what the product's drill asserts true, while it runs and after it", async () => {
    const path = await createProduct(product);
    expect(failedChecks(product, path)).toEqual([]);
    const traffic = startTraffic(product, ["--database", path]);
    await traffic.acknowledged(150);
    expect(failedChecks(product, path)).toEqual([]);
    expect(await traffic.end("SIGTERM")).toBe(0);
    expect(failedChecks(product, path)).toEqual([]);
  });

  test("goes on from what it finds when it is started again", async () => {
    const path = await createProduct(product);
    for (let starts = 0; starts < 2; starts++) {
      const traffic = startTraffic(product, ["--database", path]);
      await traffic.acknowledged(300);
      expect(await traffic.end("SIGTERM")).toBe(0);
    }
    expect(failedChecks(product, path)).toEqual([]);
  });

  test("acknowledges only what a kill -9 cannot take back", async () => {
    const path = await createProduct(product);
    const before = numbersIn(product, path);
    const traffic = startTraffic(product, ["--database", path]);
    await traffic.acknowledged(200);
    await traffic.end("SIGKILL");
    const found = numbersIn(product, path);
    expect(traffic.ledger.filter((seq) => !found.has(seq))).toEqual([]);
    expect(traffic.ledger.filter((seq) => before.has(seq))).toEqual([]);
    // One commit may have been cut off from its acknowledgement.
    expect(found.size - before.size - traffic.ledger.length).toBeOneOf([0, 1]);
    expect(failedChecks(product, path)).toEqual([]);
  });
});

test("traffic without a database says how it is used and fails", async () => {
  const [product] = products;
  const traffic = spawn(process.execPath, [product?.trafficProgram ?? ""], { stdio: "pipe" });
  let errors = "";
  traffic.stderr.on("data", (text) => {
    errors += text;
  });
  await once(traffic, "close");
  expect(traffic.exitCode).toBe(1);
  expect(errors).toContain("usage: traffic --database PATH | --url URL");
});

function numbersIn(product: Product, path: string): Set<number> {
  const database = new Database(path, { readonly: true });
  const numbers = database.prepare(`SELECT id FROM ${product.ledger}`).pluck().all();
  database.close();
  return new Set(numbers as number[]);
}
