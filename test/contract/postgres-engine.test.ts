import { postgresEngine } from "@lifeboat/postgres";
import pg from "pg";
import { outermostMajors, startCluster } from "../support/postgres.ts";
import { engineContract } from "./engine.contract.ts";

// What differs between versions is tested where it does: targets, transports, incremental backups.
for (const major of await outermostMajors())
  engineContract(`postgres ${major}`, async () => {
    const cluster = await startCluster({ major });
    await cluster.query("create table ledger(n int primary key)");
    const client = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    await client.connect();
    return {
      live: postgresEngine({
        connection: { url: cluster.superuserUrl, binDirectory: cluster.programs.directory },
      }),
      offline: postgresEngine({}),
      async write() {
        const { rows } = await client.query<{ n: number }>(
          "insert into ledger select coalesce(max(n), 0) + 1 from ledger returning n",
        );
        return rows[0]?.n as number;
      },
      async close() {
        await client.end();
        await cluster.stop();
      },
    };
  });
