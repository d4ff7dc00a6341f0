import { fileURLToPath } from "node:url";
import { quantile } from "../spread.ts";
import { PacedWriter } from "../sqlite/paced-writer.ts";
import { type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import { makeLiveProduct } from "./live-product.ts";
import type { Target } from "./target.ts";

const CUTOVERS = 20;
const RATE = 1_000;
const writer = fileURLToPath(new URL("./live-product-writer.ts", import.meta.url));

interface Cutover {
  readonly holdMs: number;
  /** What the product's own longest commit before it was refused took. */
  readonly worstCommitMs: number;
}

/** What a product of a dozen tables notices of its move to Postgres: a migration of its own each time. */
export async function cutoverRows(request: BenchRequest, target: Target): Promise<Row[]> {
  const cutovers: Cutover[] = [];
  const count = request.small ? 5 : CUTOVERS;
  for (let n = 0; n < count; n++) cutovers.push(await cutOver(request, target, n));
  const holds = cutovers.map(({ holdMs }) => holdMs);
  const what = `write hold at the cutover, ${RATE} commits/s over 12 tables`;
  return [
    valueRow({
      what: `${what}, p50 of ${count}`,
      values: [quantile(holds, 0.5)],
      unit: "ms",
      target: { atMost: 50 },
    }),
    valueRow({
      what: `${what}, worst of ${count}`,
      values: [Math.max(...holds)],
      unit: "ms",
      target: { atMost: 250 },
    }),
    valueRow({
      what: "longest commit of the product during its cutover",
      values: cutovers.map(({ worstCommitMs }) => worstCommitMs),
      unit: "ms",
    }),
  ];
}

async function cutOver({ workplace }: BenchRequest, target: Target, n: number): Promise<Cutover> {
  const path = workplace.at(`cutover-${n}.db`);
  makeLiveProduct(path);
  const command = await workplace.command(`cutover-${n}`, {
    sqlite: { path },
    postgres: { url: target.url },
  });
  await target.anew();
  await using product = await PacedWriter.start(path, RATE, "NORMAL", writer);
  await command.json("migrate load");
  await command.json("migrate sync --until caught-up");
  // There is no drill and no archive of this product: it is the freeze that is measured.
  const skipped = ["archive", "drill", "disk", "backup"].map((gate) => `--skip ${gate}`).join(" ");
  let holdMs = Number.NaN;
  const { worst } = await product.during(async () => {
    const { holdSeconds } = await command.json<{ holdSeconds: number }>(
      `migrate cutover ${skipped}`,
    );
    holdMs = holdSeconds * 1000;
  });
  return { holdMs, worstCommitMs: worst };
}
