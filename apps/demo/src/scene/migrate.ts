import { type DemoServer, startServer } from "../demo-server.ts";
import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { heading, line } from "../narration.ts";
import { openDatabase } from "../open-database.ts";
import { type Product, type ProductName, productNamed } from "../product.ts";
import type { CutoverReport, MigrationReport } from "../report.ts";
import type { Show } from "../show.ts";
import { TrafficProcess } from "../traffic-process.ts";

/** Commits a second that the product makes on Postgres. */
const RATE = 60;

/** Whoever decides passes these over: nothing is archived yet, and the show drills later. */
const PASSED_OVER = ["--skip", "archive", "--skip", "drill"];

/** Moves a product, which is at work all the time, to a Postgres server, and sets it to work there. */
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
  Object.assign(product.environment, server.environment);
  const plan = await lifeboat<MigrationReport>(show, product, ["migrate", "plan"]);
  for (const { severity, summary } of plan.findings) line(`${severity}: ${summary}`);
  await lifeboat<MigrationReport>(show, product, ["migrate", "load"]);
  await lifeboat<MigrationReport>(show, product, ["migrate", "sync", "--until", "caught-up"]);
  const verified = await lifeboat<MigrationReport>(show, product, ["migrate", "verify"]);
  const rows = verified.tables.reduce((sum, table) => sum + table.rows, 0);
  line(`${verified.tables.length} tables, ${rows} rows: equal on both sides, row by row`);
  const cutover = await lifeboat<CutoverReport>(show, product, [
    "migrate",
    "cutover",
    ...PASSED_OVER,
  ]);
  line(`its writers were held for ${(cutover.holdSeconds * 1000).toFixed(0)} ms`);
  await nothingIsLost(product, server);
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

/** A late writer is refused, and what was acknowledged before is in Postgres. */
async function nothingIsLost(product: Product, server: DemoServer): Promise<void> {
  const { traffic } = product;
  if (!traffic) throw new Error(`${product.name} was not at work`);
  const said = await traffic.lastWords();
  if (!said.includes("moved to Postgres, writes refused"))
    throw new Error(`${product.name} was not refused: ${said}`);
  product.traffic = null;
  const session = await openDatabase(server);
  try {
    const rows = await session.all(`SELECT id FROM ${product.ledger}`);
    const there = new Set(rows.map(({ id }) => Number(id)));
    const lost = traffic.ledger.filter(({ seq }) => !there.has(seq));
    if (lost.length > 0) throw new Error(`${lost.length} acknowledged commits are not in Postgres`);
  } finally {
    await session.close();
  }
  line(
    `it was refused then, loudly; its ${traffic.ledger.length} acknowledged commits are all in Postgres`,
  );
}
