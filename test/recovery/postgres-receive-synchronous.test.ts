import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import pg from "pg";
import { expect, test } from "vitest";
import { startCluster } from "../support/postgres.ts";
import { countAfter } from "../support/postgres-copies.ts";
import { repositoryBeside } from "../support/postgres-repository.ts";

const RUN = fileURLToPath(new URL("../support/postgres-receive-run.ts", import.meta.url));

test("with --synchronous a commit that returned is in the repository, whoever is killed", async () => {
  const cluster = await startCluster({ initdb: ["--wal-segsize=1"] });
  try {
    const kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int primary key)");
    await kept.take();
    await cluster.query("alter system set synchronous_standby_names = 'lifeboat_receive'");
    await cluster.query("select pg_reload_conf()");
    const acknowledged: number[] = [];
    let n = 0;
    for (const victim of ["receiver", "server"] as const) {
      const state = join(cluster.directory, "own-state");
      const words = [RUN, kept.path, state, cluster.superuserUrl, "synchronous"];
      const receiver = execa(process.execPath, words, { reject: false, buffer: false });
      const client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
      client.on("error", () => {});
      await client.connect();
      const enough = acknowledged.length + 20;
      const ended = (async () => {
        for (;;) {
          // The one that was waiting when its client went may still be there.
          const own = ++n;
          await client.query(`insert into ledger values (${own})`);
          acknowledged.push(own);
        }
      })().catch(() => {});
      await expect.poll(() => acknowledged.length).toBeGreaterThan(enough);
      if (victim === "server") await cluster.crash();
      receiver.kill("SIGKILL");
      await receiver;
      client.connection.stream.destroy();
      await ended;
      const { numbers } = await countAfter(cluster, kept);
      expect(acknowledged.filter((each) => !numbers.has(each))).toEqual([]);
    }
  } finally {
    await cluster.stop();
  }
});
