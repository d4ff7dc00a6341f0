import { closingTable, Results } from "./closing-table.ts";
import { perform } from "./perform.ts";
import { archiveWal } from "./scene/archive-wal.ts";
import { backUpCluster } from "./scene/back-up-cluster.ts";
import { backUpEach } from "./scene/back-up-each.ts";
import { createProducts } from "./scene/create-products.ts";
import { dropTable } from "./scene/drop-table.ts";
import { handOver } from "./scene/hand-over.ts";
import { migrate } from "./scene/migrate.ts";
import { recover } from "./scene/recover.ts";
import { rehearse } from "./scene/rehearse.ts";
import { restoreEach } from "./scene/restore-each.ts";

/** Lifeboat's main job, once, on real databases; exit status 1 when anything in it is not as it must be. */
process.exitCode = await perform(async (show) => {
  const results = new Results();
  const products = await createProducts(show);
  await backUpEach(show, products, results);
  await restoreEach(show, products, results);
  const moved = await migrate(show, products, "documint");
  await backUpCluster(show, moved, results);
  await archiveWal(show, moved);
  const mistake = await dropTable(show, moved, "invoices");
  await recover(show, moved, mistake, results);
  await rehearse(show, moved, mistake);
  await closingTable(show, products, results);
  await handOver(show, products, mistake);
});
