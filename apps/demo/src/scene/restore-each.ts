import { join } from "node:path";
import type { Results } from "../closing-table.ts";
import { compareCopy } from "../compare-copy.ts";
import { lifeboat } from "../lifeboat.ts";
import { duration, heading, line } from "../narration.ts";
import type { Product } from "../product.ts";
import type { RestoreReport } from "../report.ts";
import type { Show } from "../show.ts";

/** Restores each backup beside its database, and compares the two. */
export async function restoreEach(
  show: Show,
  products: readonly Product[],
  results: Results,
): Promise<void> {
  heading("Each is restored, and compared with what its product was told is safe");
  for (const product of products) {
    const to = join(show.folder.copies, product.name);
    const restored = await lifeboat<RestoreReport>(show, product, ["restore", "--to", to]);
    const { rows, acknowledged } = await compareCopy(product, restored);
    line(
      `${duration(restored.seconds)}: sound, all ${acknowledged} commits acknowledged before ` +
        `${restored.recoveredTo}, ${rows} ledger rows equal one by one, ${product.checks.length} checks hold`,
    );
    results.conclude(product.name, "sqlite", "restored, equal");
  }
}
