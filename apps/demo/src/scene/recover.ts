import { join } from "node:path";
import { Server } from "@lifeboat/postgres";
import { openPostgres } from "@lifeboat/traffic";
import type { Results } from "../closing-table.ts";
import { socketUrl } from "../demo-server.ts";
import { fingerprint } from "../fingerprint.ts";
import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { duration, heading, line } from "../narration.ts";
import type { RestoreReport } from "../report.ts";
import type { Show } from "../show.ts";
import type { Mistake } from "./drop-table.ts";

/** Recovers to the instant before the mistake, and compares what had been lost. */
export async function recover(
  show: Show,
  { product, server }: MovedProduct,
  mistake: Mistake,
  results: Results,
): Promise<void> {
  heading("Recovery to the instant before");
  const to = join(show.folder.copies, "recovered");
  const target = ["--at", mistake.instantBefore, "--to", to, "--replay"];
  const words = ["restore", "--engine", "postgres", ...target];
  const restored = await lifeboat<RestoreReport>(show, product, words);
  const copy = await Server.start({
    programs: server.programs,
    account: server.account,
    dataDirectory: restored.path,
    settings: { archive_mode: "off" },
  });
  show.atEnd(() => copy.stop());
  await copy.accepting("postgres", show.signal);
  const session = await openPostgres(socketUrl(copy, product.name));
  const found = await fingerprint(session, mistake.table);
  await session.close();
  await copy.stop();
  if (found.rows !== mistake.lost.rows || found.md5 !== mistake.lost.md5)
    throw new Error(
      `${mistake.table} came back with ${found.rows} rows (${found.md5}), not ${mistake.lost.rows} (${mistake.lost.md5})`,
    );
  line(
    `${duration(restored.seconds)}: ${mistake.table} is back with all its ${found.rows} rows, equal to the last byte; ` +
      `the newest commit is of ${restored.recoveredTo}`,
  );
  results.conclude(product.name, "postgres", "recovered, equal");
}
