import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { liveDirectory } from "../src/basebackup/parallel/live-directory.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

const found = (dataDirectory?: string, inRecovery = false) =>
  withClient({ url: cluster.superuserUrl }, async (client) => {
    const server = await describeServer(client);
    const seen = { ...server, inRecovery, dataDirectory: dataDirectory ?? server.dataDirectory };
    return liveDirectory(client, seen);
  });

test("the server's own data directory is read from the disk", async () => {
  expect(await found()).toBe(cluster.dataDirectory);
});

test("another one of the same cluster is not, though it has the same system identifier", async () => {
  const clone = join(cluster.directory, "clone");
  await mkdir(join(clone, "global"), { recursive: true });
  const control = join("global", "pg_control");
  await cp(join(cluster.dataDirectory, control), join(clone, control));
  await cluster.query("create table t as select 1");
  await cluster.query("checkpoint");
  expect(await found(clone)).toBeUndefined();
  // A standby's state is another one than its primary's, whatever the checkpoint.
  expect(await found(undefined, true)).toBeUndefined();
});

test("one that is not there is none", async () => {
  expect(await found(join(cluster.directory, "nowhere"))).toBeUndefined();
});
