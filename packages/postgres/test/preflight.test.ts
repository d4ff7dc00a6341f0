import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { repositoryBeside } from "../../../test/support/postgres-repository.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer, type ServerFacts } from "../src/facts/server-facts.ts";
import { activityFindings } from "../src/preflight/activity.ts";
import { configurationFindings } from "../src/preflight/configuration.ts";
import { hostFindings } from "../src/preflight/host.ts";
import { outsideFindings } from "../src/preflight/outside.ts";
import { spaceFindings } from "../src/preflight/space.ts";
import { findPrograms } from "../src/server/programs.ts";

describe("preflight finds", () => {
  let cluster: TestCluster;
  let server: ServerFacts;

  /** Any library will do, as long as it bears the name. */
  let library: string | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
    await chmod(folder, 0o755);
    const { directory } = await findPrograms({ major: (await availableMajors())[0] });
    for (const place of ["../lib", "../lib/postgresql"]) {
      const copied = copyFile(
        join(directory, place, "auto_explain.so"),
        join(folder, "pg_cron.so"),
      );
      if (await copied.then(() => true).catch(() => false)) library = join(folder, "pg_cron");
    }
    cluster = await startCluster({
      settings: {
        max_replication_slots: "1",
        krb_server_keyfile: "/etc/lifeboat/krb5.keytab",
        ...(library && { shared_preload_libraries: library }),
      },
    });
    server = await withClient({ url: cluster.superuserUrl }, describeServer);
  });
  afterAll(async () => {
    await cluster?.stop();
    await rm(folder, { recursive: true });
  });

  const activity = (facts = server, idleSeconds = 300) =>
    withClient({ url: cluster.superuserUrl }, (client) =>
      activityFindings(client, facts, idleSeconds),
    );

  test("nothing in a server at rest", async () => {
    expect(await activity()).toEqual([]);
  });

  test("no fault in a role that may see little", async () => {
    await cluster.query("create role modest login password 'm'");
    const url = new URL(cluster.superuserUrl);
    url.username = "modest";
    url.password = "m";
    const found = await withClient({ url: url.href }, async (client) => [
      ...(await activityFindings(client, server)),
      ...(await outsideFindings(client, server)),
    ]);
    expect(found.filter(({ severity }) => severity !== "info")).toEqual([]);
  });

  test("that no replication slot is free, and who holds them", async () => {
    await cluster.query("select pg_create_physical_replication_slot('only_one')");
    try {
      expect(await activity()).toEqual([
        expect.objectContaining({
          id: "replication-slots-scarce",
          summary: expect.stringContaining("of 1, held by only_one"),
          remedy: expect.stringContaining("max_replication_slots = 10"),
        }),
      ]);
    } finally {
      await cluster.query("select pg_drop_replication_slot('only_one')");
    }
  });

  test("temporary files of a query that spills, and a session that sits in its transaction", async () => {
    const session = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    await session.connect();
    try {
      await session.query("set work_mem = '64kB'; begin");
      await session.query(
        "declare c cursor for select md5(i::text) m from generate_series(1, 50000) i order by m",
      );
      await session.query("fetch 1 from c");
      // One that has just begun is nobody's fault.
      expect((await activity()).map(({ id }) => id)).toEqual(["temporary-files"]);
      const [spilled, idle, ...more] = await activity(server, 0);
      expect(more).toEqual([]);
      expect(spilled).toMatchObject({ id: "temporary-files", severity: "info" });
      const { rows } = await session.query("select pg_backend_pid() as pid");
      expect(idle).toMatchObject({
        id: "idle-in-transaction",
        remedy: expect.stringContaining(`pg_terminate_backend(${rows[0].pid})`),
      });
    } finally {
      await session.end();
    }
  });

  test.each([-60_000, 60_000])("a clock that goes wrong by %i ms", async (by) => {
    const wrong = { ...server, clock: new Date(Date.now() + by) };
    expect(await activity(wrong)).toEqual([expect.objectContaining({ id: "clock-differs" })]);
  });

  test("what lies outside: rows of foreign tables, and files that settings name", async () => {
    await cluster.query("create extension if not exists postgres_fdw");
    const found = await withClient({ url: cluster.superuserUrl }, (client) =>
      outsideFindings(client, server),
    );
    expect(found).toContainEqual(
      expect.objectContaining({
        id: "extension-keeps-state",
        summary: expect.stringContaining("postgres_fdw in database app"),
      }),
    );
    expect(found).toContainEqual(
      expect.objectContaining({
        id: "paths-outside",
        summary: expect.stringContaining("krb_server_keyfile = /etc/lifeboat/krb5.keytab"),
      }),
    );
  });

  test("extensions whose state or workers a copy has twice, also where they are another database's", async () => {
    const session = new pg.Client(cluster.server.clientConfig("postgres", "app"));
    await session.connect();
    try {
      // As CREATE EXTENSION leaves them; their packages are not on this host.
      await session.query("set allow_system_table_mods = on; begin");
      // One that is made here and preloaded as well is told once.
      for (const name of ["pg_repack", "timescaledb", ...(library ? ["pg_cron"] : [])])
        await session.query(
          `insert into pg_extension select (select max(oid)::int8 + 1 from pg_extension)::oid, '${name}', 10, 11, true, '1', null, null`,
        );
      const found = await outsideFindings(session, { ...server, dataDirectory: null });
      const named = ["pg_repack in database app", "timescaledb in database app"];
      if (library) named.push("pg_cron in database app");
      expect(found.filter(({ summary }) => summary.includes("pg_cron"))).toHaveLength(
        library ? 1 : 0,
      );
      for (const name of named)
        expect(found).toContainEqual(
          expect.objectContaining({ summary: expect.stringContaining(`extension ${name}`) }),
        );
      for (const { remedy } of found) expect(remedy).not.toBe("");
    } finally {
      await session.query("rollback");
      await session.end();
    }
  });

  test("a version that is not supported, one that was not tried, and pages without checksums", () => {
    const ids = (facts: Partial<ServerFacts>) =>
      configurationFindings({ ...server, ...facts }).map(({ id, severity }) => `${severity} ${id}`);
    expect(ids({ major: 14 })).toContain("error version-unsupported");
    expect(ids({ major: 19 })).toContain("warning version-untested");
    for (const major of [15, 18])
      expect(ids({ major })).not.toContainEqual(expect.stringContaining("version"));
    expect(ids({ checksums: false })).toContain("warning checksums-off");
    expect(ids({ inRecovery: true })).toContain("error server-is-standby");
    const slow = "warning archive-timeout-off";
    expect(ids({ archiving: true, archiveTimeout: 0 })).toContain(slow);
    expect(ids({ archiving: true, archiveTimeout: 60 })).not.toContain(slow);
    expect(ids({ archiving: false, archiveTimeout: 0 })).not.toContain(slow);
    const nobody = { archiving: true, archiveCommand: "", archiveLibrary: "" };
    expect(ids(nobody)).toContain("error archive-command-empty");
    expect(ids({ ...nobody, archiveLibrary: "basic_archive" })).not.toContain(
      "error archive-command-empty",
    );
  });

  test("that a repository may be too small for the cluster", async () => {
    const { folder } = await repositoryBeside(cluster);
    const found = (free: number) =>
      withClient({ url: cluster.superuserUrl }, (client) =>
        spaceFindings(client, folder.over({ ...folder.storage, freeBytes: async () => free })),
      );
    expect(await found(1 << 20)).toMatchObject([{ id: "repository-space", severity: "warning" }]);
    expect(await found(2 ** 40)).toEqual([]);
  });

  test("that pg_wal has too little room on this host's disk", async () => {
    const huge = { ...server, walSegmentBytes: 2 ** 44 };
    const found = await hostFindings({ url: cluster.superuserUrl }, huge);
    expect(found).toContainEqual(
      expect.objectContaining({ id: "wal-space-scarce", severity: "error" }),
    );
  });

  test("client programs with a known hole, up to the version that mends it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
    const foundWith = async (version: string) => {
      const binDirectory = join(folder, version);
      const script = `#!/bin/sh\necho "pg_basebackup (PostgreSQL) ${version}"\n`;
      await mkdir(binDirectory);
      await writeFile(join(binDirectory, "pg_basebackup"), script, { mode: 0o755 });
      const facts = { ...server, major: Number.parseInt(version, 10) };
      return hostFindings({ url: cluster.superuserUrl, binDirectory }, facts);
    };
    try {
      expect(await foundWith("17.10")).toEqual([]);
      expect(await foundWith("17.9")).toEqual([
        expect.objectContaining({
          id: "client-programs-old",
          summary: expect.stringContaining("CVE-2026-6475"),
        }),
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
