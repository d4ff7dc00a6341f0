import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { heading, line } from "../narration.ts";
import type { StatusReport } from "../report.ts";
import type { Show } from "../show.ts";
import { archivedUpToNow } from "../wait-for-archive.ts";

/** Lets the product write on, until what it wrote is in the repository. */
export async function archiveWal(show: Show, moved: MovedProduct): Promise<void> {
  heading("Its WAL goes to the repository, segment by segment");
  await moved.traffic.acknowledges(60);
  const segment = await archivedUpToNow(show, moved.server);
  line(`the server has handed over every segment up to ${segment}`);
  const words = ["status", "--engine", "postgres"];
  const { archive } = await lifeboat<StatusReport>(show, moved.product, words);
  if (archive?.ok !== true) throw new Error("status says that the archive is not in order");
  line(`the newest in the repository is ${archive.lastSegment}`);
}
