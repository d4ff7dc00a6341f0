import { rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { backup, list, type Manifest, type RecoveryTarget, verify } from "@lifeboat/core";
import { postgresEngine, Server } from "@lifeboat/postgres";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { postgresDetails } from "../../packages/postgres/src/details.ts";
import { formatLsn, lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import { PATIENCE } from "../support/patience.ts";
import { ask, startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

const never = new AbortController().signal;

/** A copy is promoted and archives on into the same repository: two timelines from one root. */
describe("an archive with two timelines", () => {
  let cluster: TestCluster;
  let kept: ClusterRepository;
  let promoted: Server | undefined;
  let ends: { one: number; two: number };
  /** Between the base and the fork, and between two commits. */
  let past: { at: Date } | undefined;

  beforeAll(async () => {
    cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
    kept = await repositoryBeside(cluster);
    await archiveInto(cluster);
    const fetchCommand = [...(await walCommand(cluster)), "fetch"];
    await cluster.query("create table ledger(n serial primary key)");
    await write(cluster.server, 10);
    await kept.take({ transport: "wire" });
    await write(cluster.server, 5);
    [past] = await ask<{ at: Date }>(cluster.server, "select clock_timestamp() as at", "app");
    await write(cluster.server, 5);
    await archived(cluster.server);
    const to = join(cluster.directory, "promoted");
    await restoreBeside(cluster, kept, { to, fetchCommand });
    const { programs, account } = cluster;
    promoted = await Server.start({
      programs,
      account,
      dataDirectory: to,
      settings: {
        archive_mode: "on",
        archive_command: `${fetchCommand.slice(0, -1).join(" ")} push "%p"`,
        hot_standby: "off",
      },
    });
    await promoted.accepting("postgres");
    // The old one lives on a while, as it should not; the promoted one commits last.
    await write(cluster.server, 5);
    await ask(cluster.server, "select pg_create_restore_point('deployed')", "app");
    await archived(cluster.server);
    await write(promoted, 30);
    await ask(promoted, "select pg_create_restore_point('deployed')", "app");
    await archived(promoted);
    ends = { one: await count(cluster.server), two: await count(promoted) };
  });
  afterAll(async () => {
    await promoted?.stop("immediate");
    await cluster?.stop();
  });

  async function write(server: Server, rows: number): Promise<void> {
    for (let i = 0; i < rows; i++) await ask(server, "insert into ledger default values", "app");
  }

  async function count(server: Server): Promise<number> {
    const [row] = await ask<{ count: number }>(server, "select count(*)::int from ledger", "app");
    return row?.count ?? -1;
  }

  async function archived(server: Server): Promise<void> {
    const [row] = await ask<{ name: string }>(
      server,
      "select pg_walfile_name(pg_switch_wal()) as name",
      "app",
    );
    const name = row?.name as string;
    await vi.waitFor(
      async () => expect(await kept.folder.statLog(`${name.slice(0, 8)}/${name}`)).toBeDefined(),
      PATIENCE,
    );
  }

  async function recoveredAlong(timeline: number | undefined): Promise<[number, string[]]> {
    const to = join(cluster.directory, `along-${timeline ?? "newest"}`);
    const { path, findings } = await restoreBeside(cluster, kept, {
      to,
      timeline,
      fetchCommand: [...(await walCommand(cluster)), "fetch"],
    });
    const { programs, account } = cluster;
    const settings = { hot_standby: "off", archive_mode: "off" };
    const server = await Server.start({ programs, account, dataDirectory: path, settings });
    try {
      await server.accepting("postgres");
      const told = findings.map(({ id }) => id).filter((id) => id.includes("timeline"));
      return [await count(server), told];
    } finally {
      await server.stop("immediate");
    }
  }

  test("shows a window for each, and is whole", async () => {
    const { windows } = await list({
      repository: kept.repository,
      engines: [kept.offline],
      live: null,
    });
    expect(windows.map(({ timeline }) => timeline).sort()).toEqual([1, 2]);
    const [first, second] = windows;
    expect(first?.from).toBe(second?.from);
    const report = await verify({
      repository: kept.repository,
      engines: [kept.offline],
      deep: true,
      signal: never,
    });
    expect(report.problems).toEqual([]);
  });

  test("recovers along the one that lives unless the other is asked for", async () => {
    expect(ends).toEqual({ one: 25, two: 50 });
    expect(await recoveredAlong(undefined)).toEqual([ends.two, ["older-timeline-went-on"]]);
    expect(await recoveredAlong(1)).toEqual([ends.one, ["newer-timeline"]]);
  });

  test("a copy that follows the newer one says what the older has behind the fork, and of the past of both nothing", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const said = async (target: RecoveryTarget, timeline?: number) => {
      const plan = await kept.offline.plan(kept.folder, manifests, target, { timeline });
      return (plan.findings ?? []).map(({ id, remedy }) => `${id} ${remedy}`);
    };
    expect(await said({ kind: "latest" })).toEqual([
      expect.stringMatching(/^older-timeline-went-on .* --timeline 1$/),
    ]);
    const [oldest] = manifests as [Manifest];
    const { stopLsn: lsn } = postgresDetails(oldest);
    expect(await said({ kind: "lsn", lsn, exclusive: false })).toEqual([]);
    expect(await said({ kind: "immediate" })).toEqual([]);
    const instant = { kind: "time", at: past?.at as Date, exclusive: false } as const;
    expect(await said(instant)).toEqual([]);
    // One of its name on the other timeline is found by both.
    expect(await said({ kind: "restore-point", name: "deployed" })).toEqual([
      expect.stringMatching(/^restore-point-repeated .* --lsn 0\/\w+ --timeline 1$/),
      expect.stringMatching(/^older-timeline-went-on/),
    ]);
    expect(await said({ kind: "latest" }, 2)).toEqual([]);
  });

  test("a timeline that no backup reaches is refused", async () => {
    await expect(
      restoreBeside(cluster, kept, { to: join(cluster.directory, "never"), timeline: 7 }),
    ).rejects.toMatchObject({ kind: "not-found" });
  });

  test("an instant before the fork can be reached along either", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const at = new Date(manifests[0]?.consistentAt as string);
    for (const timeline of [1, 2]) {
      const plan = await kept.offline.plan(
        kept.folder,
        manifests,
        { kind: "time", at, exclusive: false },
        { timeline },
      );
      expect(plan.timeline).toBe(timeline);
    }
  });

  test("a position that both have behind the fork is the one that lives, unless the other is asked for", async () => {
    const { manifests } = await kept.repository.backups(kept.folder);
    const planned = (target: RecoveryTarget, wish: { timeline?: number }) =>
      kept.offline.plan(kept.folder, manifests, target, wish);
    // The older one ends in the first segment behind the fork.
    const { willRecoverTo } = await planned({ kind: "latest" }, { timeline: 1 });
    const last = lsnOf(willRecoverTo.lsn as string);
    const lsn = formatLsn(last - (last % 0x100000n) + 0x100n);
    const target = { kind: "lsn", lsn, exclusive: false } as const;
    expect((await planned(target, {})).timeline).toBe(2);
    expect((await planned(target, { timeline: 1 })).timeline).toBe(1);
  });

  test("without the new timeline's history its segments reach nothing, and verify names it", async () => {
    const object = kept.folder.logPath("00000002/00000002.history");
    await rename(kept.file(object), `${kept.file(object)}.kept`);
    try {
      const report = await verify({
        repository: kept.repository,
        engines: [kept.offline],
        deep: false,
        signal: never,
      });
      expect(report.problems.map((problem) => basename(problem.object))).toEqual([
        "00000002.history.zst",
      ]);
      const { windows } = await list({
        repository: kept.repository,
        engines: [kept.offline],
        live: null,
      });
      expect(windows.map(({ timeline }) => timeline)).toEqual([1]);
    } finally {
      await rename(`${kept.file(object)}.kept`, kept.file(object));
    }
  });

  test("a backup of the newer one tells that it lives, though the old one committed last", async () => {
    const followed = async () => {
      const { manifests } = await kept.repository.backups(kept.folder);
      const wish = { timeline: undefined };
      return (await kept.offline.plan(kept.folder, manifests, { kind: "latest" }, wish)).timeline;
    };
    await write(cluster.server, 1);
    await archived(cluster.server);
    expect(await followed()).toBe(1);
    const { host, port, user } = (promoted as Server).clientConfig("postgres", "app");
    const url = `postgres://${user}@${encodeURIComponent(String(host))}:${port}/app`;
    await backup({
      repository: kept.repository,
      engine: postgresEngine({ connection: { url } }),
      type: "full",
      options: { wal: "stream" },
      signal: never,
    });
    expect(await followed()).toBe(2);
    await write(cluster.server, 1);
    await archived(cluster.server);
    expect(await followed()).toBe(1);
  });

  test("a copy that follows the older one says that there is a newer", async () => {
    const { findings } = await restoreBeside(cluster, kept, {
      to: join(cluster.directory, "older"),
      timeline: 1,
    });
    const found = findings.find(({ id }) => id === "newer-timeline");
    expect(found?.summary).toMatch(/ there is a newer one in the repository: 2$/);
    expect(found?.remedy).toContain("--timeline 2");
  });
});
