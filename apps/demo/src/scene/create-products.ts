import { statSync } from "node:fs";
import { heading, line, size } from "../narration.ts";
import { type Product, productsIn } from "../product.ts";
import type { Show } from "../show.ts";
import { TrafficProcess } from "../traffic-process.ts";

/** Commits a second that each product makes. */
const RATE = 40;

/** Makes the four products' databases, and sets each product to work in a process of its own. */
export async function createProducts(show: Show): Promise<Product[]> {
  heading("Four products, each on a SQLite database of its own, each at work");
  line(`everything lies in ${show.folder.path}`);
  const products = productsIn(show.folder);
  for (const product of products) {
    await product.createDatabase({ path: product.path, rows: product.rows });
    const args = ["--database", product.path, "--rate", String(RATE)];
    product.traffic = new TrafficProcess(show, product.trafficProgram, args);
    show.signal.throwIfAborted();
  }
  for (const { name, path, traffic } of products) {
    await traffic?.acknowledges(10);
    const bytes = size(statSync(path).size);
    line(`${name.padEnd(12)} ${bytes.padStart(8)}, another process makes ${RATE} commits a second`);
  }
  return products;
}
