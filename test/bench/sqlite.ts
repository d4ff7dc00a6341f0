import {
  firstSnapshotRows,
  idleBackupRows,
  type Subject,
  writerRows,
} from "./sqlite/backup-rows.ts";
import { fetchLitestream, Litestream } from "./sqlite/litestream.ts";
import { otherWaysRows } from "./sqlite/other-ways-rows.ts";
import { fillProductDatabase } from "./sqlite/product-database.ts";
import { baseRestoreRows } from "./sqlite/restore-rows.ts";
import { shippingRows } from "./sqlite/shipping-rows.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** SQLite: 100 MB and 1 GB (small: 10 MB and 100 MB), idle and at 1,000 commits a second. */
export async function* benchSqlite(request: BenchRequest): AsyncGenerator<Row[]> {
  const { workplace, small, runs, parts } = request;
  const program = await fetchLitestream(workplace);
  const scale = small ? 10 : 1;
  for (const megabytes of [100 / scale, 1000 / scale]) {
    const path = workplace.at(`app-${megabytes}.db`);
    const sqlite = { path };
    await fillProductDatabase(path, megabytes);
    const subject: Subject = {
      name: megabytes >= 1000 ? `${megabytes / 1000} GB` : `${megabytes} MB`,
      path,
      database: `app-${megabytes}`,
      command: await workplace.command(`sqlite-${megabytes}`, { sqlite }),
      fast: await workplace.command(`sqlite-${megabytes}-fast`, {
        sqlite,
        compression: { level: 1 },
      }),
      litestream: program ? new Litestream(program, path, workplace) : undefined,
    };
    const large = megabytes * scale >= 1000;
    if (parts.wants("idle")) yield await idleBackupRows(subject, request);
    if (parts.wants("ways")) yield await otherWaysRows(subject, request);
    if (parts.wants("snapshot")) yield await firstSnapshotRows(subject, request);
    if (parts.wants("restore")) yield await baseRestoreRows(subject, request);
    // A hundred backups of the small one; of the large one as many as there are runs.
    if (parts.wants("writer")) yield await writerRows(subject, large || small ? runs : 100);
    if (parts.wants("shipping")) yield await shippingRows(subject, request);
  }
}
