import type { Results } from "../closing-table.ts";
import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { duration, heading, line, size } from "../narration.ts";
import type { BackupReport } from "../report.ts";
import type { Show } from "../show.ts";

/** Takes a base backup of the cluster while the product writes. */
export async function backUpCluster(
  show: Show,
  { product, traffic }: MovedProduct,
  results: Results,
): Promise<void> {
  heading("A base backup under load");
  const before = traffic.ledger.length;
  const words = ["backup", "--engine", "postgres"];
  const backup = await lifeboat<BackupReport>(show, product, words);
  const seconds = (Date.parse(backup.finishedAt) - Date.parse(backup.startedAt)) / 1_000;
  line(
    `${size(backup.sourceBytes)} in ${duration(seconds)}, stored as ${size(backup.storedBytes)}; ` +
      `the product made ${traffic.ledger.length - before} commits while the command ran`,
  );
  results.add({
    product: product.name,
    engine: "postgres",
    sourceBytes: backup.sourceBytes,
    storedBytes: backup.storedBytes,
    seconds,
    outcome: "not compared",
  });
}
