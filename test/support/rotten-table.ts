import { open } from "node:fs/promises";
import { join } from "node:path";
import type { TestCluster } from "./postgres.ts";

const PAGE_BYTES = 8192;

/**
 * Makes a table `rotten` in the cluster's database `app`, and flips a bit of its second page on the disk, as one that fails does.
 * @returns its file, from the data directory
 */
export async function rottenTable(cluster: TestCluster): Promise<string> {
  await cluster.query("create table rotten as select i from generate_series(1, 5000) i");
  await cluster.query("checkpoint");
  const [row] = await cluster.query<{ path: string }>(
    "select pg_relation_filepath('rotten') as path",
  );
  const path = row?.path as string;
  const file = await open(join(cluster.dataDirectory, path), "r+");
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    await file.read(page, 0, PAGE_BYTES, PAGE_BYTES);
    page.writeUInt8(page.readUInt8(5000) ^ 0x10, 5000);
    await file.write(page, 0, PAGE_BYTES, PAGE_BYTES);
  } finally {
    await file.close();
  }
  return path;
}
