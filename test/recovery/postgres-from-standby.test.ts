import { join } from "node:path";
import { backup, drill } from "@lifeboat/core";
import { hasProgram, postgresEngine, type Server, startOnFreePort } from "@lifeboat/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { runProgram } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const never = new AbortController().signal;

describe("a backup from a standby", () => {
  let cluster: TestCluster;
  let standby: Server | undefined;
  let kept: ClusterRepository;
  let backupFrom: string;
  let isPossible = true;

  beforeAll(async () => {
    cluster = await startCluster();
    isPossible = await hasProgram(cluster.programs, "pg_basebackup");
    if (!isPossible) return;
    kept = await repositoryBeside(cluster);
    await cluster.query("create table ledger(n int primary key)");
    const dataDirectory = join(cluster.directory, "standby");
    const made = await runProgram(cluster, "pg_basebackup", [
      `--pgdata=${dataDirectory}`,
      `--host=${cluster.server.socketDirectory}`,
      `--port=${cluster.port}`,
      "--username=postgres",
      "--checkpoint=fast",
      "--write-recovery-conf",
      "--no-sync",
    ]);
    expect(made.exitCode, made.all).toBe(0);
    const { programs, account } = cluster;
    standby = await startOnFreePort({
      ...{ programs, account, dataDirectory },
      settings: { fsync: "off", shared_buffers: "16MB" },
    });
    const url = new URL(cluster.superuserUrl);
    url.port = String(standby.port);
    backupFrom = url.href;
  });
  afterAll(async () => {
    await standby?.stop("immediate");
    await cluster?.stop();
  });

  const take = (transport: "wire" | "parallel" | "pg_basebackup", from = backupFrom) =>
    backup({
      repository: kept.repository,
      engine: postgresEngine({
        connection: {
          url: cluster.superuserUrl,
          binDirectory: cluster.programs.directory,
          backupFrom: from,
        },
      }),
      type: "full",
      options: { transport },
      signal: never,
    });

  test.each(["wire", "parallel", "pg_basebackup"] as const)(
    "by %s holds all that was committed on the primary before it, and reads no file of the primary",
    async (transport) => {
      if (!isPossible) return;
      await cluster.query("insert into ledger select coalesce(max(n), 0) + 1 from ledger");
      const [row] = await cluster.query<{ n: number }>("select max(n) as n from ledger");
      const { id } = await take(transport);
      const report = await drill({
        repository: kept.repository,
        engines: [kept.offline],
        // Not the backup's own state: a server that took itself for a standby would open there all the same.
        target: { kind: "latest" },
        checks: () => [
          { name: "all", sql: `select max(n) = ${row?.n} and not pg_is_in_recovery() from ledger` },
        ],
        keep: false,
        signal: never,
      });
      expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
      const label = await backupLabelSays(id);
      expect(label).toContain("BACKUP FROM: standby");
    },
  );

  /** Which server it was read from stands in the backup itself. */
  async function backupLabelSays(id: string): Promise<string> {
    const { manifests } = await kept.repository.backups(kept.folder);
    const manifest = manifests.find((each) => each.id === id);
    const base = manifest?.objects.find(({ object }) => object === "base.tar.zst");
    if (!manifest || !base) throw new Error("there is no base.tar");
    const content = Buffer.concat(await Array.fromAsync(kept.folder.readObject(manifest, base)));
    const at = content.indexOf("START WAL LOCATION");
    return content.subarray(at, at + 512).toString("latin1");
  }

  test("that is no standby of this server is refused", async () => {
    if (!isPossible) return;
    await expect(take("wire", cluster.superuserUrl)).rejects.toMatchObject({
      code: "BACKUP_FROM_NO_STANDBY",
      kind: "usage",
    });
    const other = await startCluster();
    try {
      await expect(take("wire", other.superuserUrl)).rejects.toMatchObject({
        code: "BACKUP_FROM_FOREIGN",
        kind: "usage",
      });
    } finally {
      await other.stop();
    }
  });
});
