import { execFileSync } from "node:child_process";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { liveDirectory } from "../src/basebackup/parallel/live-directory.ts";
import { ServerFiles } from "../src/basebackup/parallel/server-files.ts";
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

test("one whose control file is a pipe is not waited for", async () => {
  const hostile = join(cluster.directory, "hostile");
  await mkdir(join(hostile, "global"), { recursive: true });
  execFileSync("mkfifo", [join(hostile, "global", "pg_control")]);
  expect(await found(hostile)).toBeUndefined();
});

test("one that is not there is none", async () => {
  expect(await found(join(cluster.directory, "nowhere"))).toBeUndefined();
});

test("readers that came to another server than the one in backup mode are refused, and leave it", async () => {
  const other = await startCluster();
  try {
    const connection = { url: other.superuserUrl };
    await withClient({ url: cluster.superuserUrl }, async (mode) => {
      await expect(ServerFiles.open(connection, 2, mode)).rejects.toMatchObject({
        code: "SERVER_DIFFERS",
        remedy: expect.stringContaining("name one server"),
      });
    });
    const ours = "select from pg_stat_activity where application_name = 'lifeboat'";
    await expect.poll(() => other.query(ours)).toEqual([]);
    await withClient(connection, async (mode) =>
      (await ServerFiles.open(connection, 2, mode)).close(),
    );
  } finally {
    await other.stop();
  }
});
