import { backup } from "@lifeboat/core";
import { hasProgram, leastPrivilegeScript, postgresEngine, roleOf } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServerFiles } from "../../packages/postgres/src/basebackup/parallel/server-files.ts";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { describeServer } from "../../packages/postgres/src/facts/server-facts.ts";
import { grantFindings } from "../../packages/postgres/src/rights/least-privilege.ts";
import { outermostMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const never = new AbortController().signal;

describe.each(await outermostMajors())(
  "a role made by doctor's script, on version %i,",
  (major) => {
    let cluster: TestCluster;
    let kept: ClusterRepository;
    let url: string;

    beforeAll(async () => {
      cluster = await startCluster({ major });
      kept = await repositoryBeside(cluster);
      const made = new URL(cluster.superuserUrl);
      made.username = "back%22up";
      made.password = "secret";
      url = made.href;
      await cluster.query("create table private_rows as select 1 as n");
      const script = leastPrivilegeScript(roleOf(url));
      // Twice: an engineer will run it again.
      for (let run = 0; run < 2; run++) await cluster.query(script);
      await cluster.query(`alter role "back""up" password 'secret'`);
    });
    afterAll(() => cluster?.stop());

    test("takes a backup by every transport", async () => {
      const engine = postgresEngine({
        connection: { url, binDirectory: cluster.programs.directory },
      });
      const transports = ["wire", "parallel"];
      if (await hasProgram(cluster.programs, "pg_basebackup")) transports.push("pg_basebackup");
      for (const transport of transports as ("wire" | "parallel" | "pg_basebackup")[]) {
        const { findings } = await backup({
          repository: kept.repository,
          engine,
          type: "full",
          options: { transport },
          signal: never,
        });
        expect(findings.map(({ id }) => id)).not.toContain("grants-missing");
        expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
      }
    });

    test("lets doctor see everything, streams WAL, and makes restore points", async () => {
      const findings = await postgresEngine({ connection: { url } }).inspect();
      expect(findings.map(({ id }) => id).toSorted()).toEqual(
        ["archive-mode-off", ...(major === 15 ? [] : ["client-programs-missing"])].toSorted(),
      );
      const sender = new pg.Client({
        connectionString: url,
        replication: "true",
      } as pg.ClientConfig);
      await sender.connect();
      const { rows } = await sender.query("IDENTIFY_SYSTEM");
      await sender.end();
      expect(rows[0]).toMatchObject({ systemid: kept.folder.database });
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("select pg_create_restore_point('before'), pg_switch_wal()");
      await client.end();
    });

    test("may read no table, write nothing, and is no superuser", async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        for (const statement of [
          "select * from private_rows",
          "create table mine(n int)",
          "create role other",
          "alter system set work_mem = '1GB'",
          "copy (select 1) to program 'id'",
          "copy (select 1) to '/tmp/lifeboat-must-not-exist'",
        ])
          await expect(client.query(statement), statement).rejects.toMatchObject({ code: "42501" });
      } finally {
        await client.end();
      }
    });

    test("is told, when it lacks a right, by the line that grants it", async () => {
      await cluster.query(
        `revoke execute on function pg_backup_start(text, boolean) from "back""up"`,
      );
      try {
        const engine = postgresEngine({ connection: { url } });
        const remedy = expect.stringContaining(
          `grant execute on function pg_backup_start(text, boolean)`,
        );
        expect(await engine.inspect()).toContainEqual(
          expect.objectContaining({ id: "grants-missing", severity: "info", remedy }),
        );
        await expect(
          backup({
            repository: kept.repository,
            engine,
            type: "full",
            options: { transport: "parallel" },
            signal: never,
          }),
        ).rejects.toMatchObject({ code: "BACKUP_GRANT_MISSING", remedy });
      } finally {
        await cluster.query(
          `grant execute on function pg_backup_start(text, boolean) to "back""up"`,
        );
      }
    });

    test("is told of a right that a backup from a standby takes at its end, before anything is read", async () => {
      await cluster.query(`revoke execute on function pg_switch_wal() from "back""up"`);
      try {
        const engine = postgresEngine({ connection: { url, backupFrom: url } });
        const remedy = expect.stringContaining("grant execute on function pg_switch_wal()");
        const order = { repository: kept.repository, engine, type: "full" } as const;
        await expect(backup({ ...order, options: {}, signal: never })).rejects.toMatchObject({
          code: "SWITCH_GRANT_MISSING",
          remedy,
        });
        const findings = await postgresEngine({ connection: { url } }).inspect();
        expect(findings.map(({ id }) => id)).not.toContain("switch-grant-missing");
      } finally {
        await cluster.query(`grant execute on function pg_switch_wal() to "back""up"`);
      }
    });

    test("is told of the rights to read files through the server, from another host", async () => {
      const functions = "pg_ls_dir(text, boolean, boolean)";
      await cluster.query(`revoke execute on function ${functions} from "back""up"`);
      const source = await ServerFiles.open({ url }, 1);
      try {
        await expect(source.readDirectory("")).rejects.toMatchObject({
          code: "BACKUP_GRANT_MISSING",
          remedy: expect.stringContaining(functions),
        });
        const facts = { ...(await withClient({ url }, describeServer)), dataDirectory: null };
        const found = await withClient({ url }, (client) => grantFindings({ url }, client, facts));
        expect(found).toMatchObject([
          { id: "grants-missing", remedy: expect.stringContaining(`on function ${functions} to`) },
        ]);
        // On its own host the files are read as they lie; and on a standby nothing can be granted.
        const local = await withClient({ url }, describeServer);
        for (const other of [local, { ...facts, inRecovery: true }])
          expect(
            await withClient({ url }, (client) => grantFindings({ url }, client, other)),
          ).toEqual([]);
      } finally {
        await source.close();
        await cluster.query(`grant execute on function ${functions} to "back""up"`);
      }
    });
  },
);
