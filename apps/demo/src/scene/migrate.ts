import { startServer } from "../demo-server.ts";
import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { heading, line } from "../narration.ts";
import { type Product, type ProductName, productNamed } from "../product.ts";
import type { MigrationReport } from "../report.ts";
import type { Show } from "../show.ts";
import { TrafficProcess } from "../traffic-process.ts";

/** Commits a second that the product makes on Postgres. */
const RATE = 60;

/** Moves a product, which rests meanwhile, to a Postgres server, and sets it to work there. */
export async function migrate(
  show: Show,
  products: readonly Product[],
  name: ProductName,
): Promise<MovedProduct> {
  heading(`${name} moves to Postgres`);
  const product = productNamed(products, name);
  const server = await startServer(show, name);
  line(`Postgres ${server.version} runs as ${server.account.name}, from ${server.origin}`);
  line(`archive_command = ${server.archiveCommand}`);
  await product.traffic?.stop();
  product.traffic = null;
  Object.assign(product.environment, server.environment);
  const plan = await lifeboat<MigrationReport>(show, product, ["migrate", "plan"]);
  for (const { severity, summary } of plan.findings) line(`${severity}: ${summary}`);
  await lifeboat<MigrationReport>(show, product, ["migrate", "load"]);
  const verified = await lifeboat<MigrationReport>(show, product, ["migrate", "verify"]);
  const rows = verified.tables.reduce((sum, table) => sum + table.rows, 0);
  line(`${verified.tables.length} tables, ${rows} rows: equal on both sides, row by row`);
  const traffic = new TrafficProcess(
    show,
    product.trafficProgram,
    ["--url", server.url, "--rate", String(RATE)],
    server.environment,
  );
  await traffic.acknowledges(10);
  line(`${name} is at work again, on Postgres: ${RATE} commits a second`);
  return { product, server, traffic };
}
