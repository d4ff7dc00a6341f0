import type { Results } from "../closing-table.ts";
import { lifeboat } from "../lifeboat.ts";
import { duration, heading, line, size } from "../narration.ts";
import type { Product } from "../product.ts";
import type { BackupReport } from "../report.ts";
import type { Show } from "../show.ts";

/** Backs up each database while its product writes. */
export async function backUpEach(
  show: Show,
  products: readonly Product[],
  results: Results,
): Promise<void> {
  heading("Each is backed up while it is written");
  for (const product of products) {
    const before = product.traffic?.ledger.length ?? 0;
    const backup = await lifeboat<BackupReport>(show, product, ["backup"]);
    const during = (product.traffic?.ledger.length ?? 0) - before;
    const seconds = (Date.parse(backup.finishedAt) - Date.parse(backup.startedAt)) / 1_000;
    line(
      `${size(backup.sourceBytes)} in ${duration(seconds)}, stored as ${size(backup.storedBytes)}; ` +
        `the product made ${during} commits while the command ran`,
    );
    const { sourceBytes, storedBytes } = backup;
    results.add({
      product: product.name,
      engine: "sqlite",
      sourceBytes,
      storedBytes,
      seconds,
      outcome: "not compared",
    });
  }
}
