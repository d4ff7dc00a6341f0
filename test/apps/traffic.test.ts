import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { createProduct, failedChecks, type Product, products } from "./products.ts";

describe.each(products)("traffic of $name", (product) => {
  test("keeps what the product's drill asserts true, while it runs and after it", async () => {
    const path = await createProduct(product);
    expect(failedChecks(product, path)).toEqual([]);
    const traffic = start(product, path);
    await traffic.acknowledged(150);
    expect(failedChecks(product, path)).toEqual([]);
    traffic.process.kill("SIGTERM");
    await once(traffic.process, "exit");
    expect(traffic.process.exitCode).toBe(0);
    expect(failedChecks(product, path)).toEqual([]);
  });

  test("acknowledges only what a kill -9 cannot take back", async () => {
    const path = await createProduct(product);
    const before = numbersIn(product, path);
    const traffic = start(product, path);
    await traffic.acknowledged(200);
    traffic.process.kill("SIGKILL");
    await once(traffic.process, "close");
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

function start(product: Product, path: string) {
  const args = [product.trafficProgram, "--database", path, "--rate", "500"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ledger: number[] = [];
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => {
    const { seq, at } = JSON.parse(line) as { seq: number; at: string };
    expect(new Date(at).toISOString()).toBe(at);
    ledger.push(seq);
  });
  return { process: child as ChildProcess, ledger, acknowledged };

  async function acknowledged(count: number): Promise<void> {
    while (ledger.length < count) {
      if (child.exitCode !== null) throw new Error(`traffic ended with ${child.exitCode}`);
      await once(lines, "line");
    }
  }
}

function numbersIn(product: Product, path: string): Set<number> {
  const database = new Database(path, { readonly: true });
  const numbers = database.prepare(`SELECT id FROM ${product.ledger}`).pluck().all();
  database.close();
  return new Set(numbers as number[]);
}
