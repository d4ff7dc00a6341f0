import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { list, verify } from "@lifeboat/core";
import { Server } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ask, startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

const never = new AbortController().signal;

describe("pushing WAL", () => {
  let cluster: TestCluster;
  let stranger: TestCluster;
  let kept: ClusterRepository;
  let command: string[];
  let segment: string;

  beforeAll(async () => {
    [cluster, stranger] = await Promise.all([
      startCluster({ initdb: ["--wal-segsize=1"] }),
      startCluster({ initdb: ["--wal-segsize=1"] }),
    ]);
    kept = await repositoryBeside(cluster);
    command = await walCommand(cluster);
    segment = await wholeSegment(cluster);
  });
  afterAll(async () => {
    await cluster?.stop();
    await stranger?.stop();
  });

  /** A segment that the server has finished and keeps. */
  async function wholeSegment({ query }: TestCluster): Promise<string> {
    const [row] = await query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
    return row?.name as string;
  }

  /** As the server runs it: in its data directory, with a path from there. */
  async function push(path: string, cwd = cluster.dataDirectory) {
    const [program, ...args] = command as [string, ...string[]];
    const { exitCode, stderr, stdout } = await execa(program, [...args, "push", path], {
      cwd,
      reject: false,
    });
    return { exitCode, said: `${stderr}${stdout}` };
  }

  const stored = async () => (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name);

  test("stores a segment, silently; the same again is fine, also several at once", async () => {
    const at = `pg_wal/${segment}`;
    const several = await Promise.all([push(at), push(at), push(at)]);
    expect(several).toEqual(several.map(() => ({ exitCode: 0, said: "" })));
    expect(await push(join(cluster.dataDirectory, at))).toEqual({ exitCode: 0, said: "" });
    expect(await stored()).toEqual([`00000001/${segment}`]);
    const { stdout } = await execa(
      "zstd",
      ["-d", "-c", kept.file(kept.folder.logPath(`00000001/${segment}`))],
      {
        encoding: "buffer",
      },
    );
    const original = await readFile(join(cluster.dataDirectory, at));
    expect(original.equals(Buffer.from(stdout))).toBe(true);
  });

  test("other bytes under the same name are refused, and what is stored stays", async () => {
    const path = join(cluster.dataDirectory, "pg_wal", segment);
    const before = await readFile(path);
    const changed = Buffer.from(before);
    changed.writeUInt8(changed.readUInt8(500_000) ^ 1, 500_000);
    await writeFile(path, changed);
    try {
      const { exitCode, said } = await push(`pg_wal/${segment}`);
      expect(exitCode).toBe(1);
      expect(said).toContain("with other content");
    } finally {
      await writeFile(path, before);
    }
    expect((await push(`pg_wal/${segment}`)).exitCode).toBe(0);
  });

  test("a segment of another cluster is refused", async () => {
    const foreign = await wholeSegment(stranger);
    await copyFile(
      join(stranger.dataDirectory, "pg_wal", foreign),
      join(cluster.directory, foreign),
    );
    const { exitCode, said } = await push(join(cluster.directory, foreign));
    expect(exitCode).toBe(1);
    expect(said).toContain(`not from ${kept.folder.database}`);
  });

  test("what is cut, renamed or no WAL at all is refused", async () => {
    const whole = await readFile(join(cluster.dataDirectory, "pg_wal", segment));
    const folder = join(cluster.directory, "mangled");
    await mkdir(folder);
    const files: Record<string, Buffer> = {
      [segment.replace(/.$/, "F")]: whole,
      [segment.replace(/^00000001/, "00000000")]: whole,
      "000000010000000000000009": whole.subarray(0, 512 * 1024),
      "00000001000000000000000A": Buffer.alloc(1 << 20),
      "00000001000000000000000B": Buffer.alloc(0),
      "00000009.history": Buffer.from("not a history"),
      "something.conf": Buffer.from("x"),
    };
    const before = await stored();
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content);
      const { exitCode, said } = await push(join(folder, name));
      expect({ name, exitCode }).toEqual({ name, exitCode: 1 });
      expect(said).toContain(name);
    }
    expect((await push("pg_wal/00000001000000000000FFFF")).exitCode).toBe(1);
    expect(await stored()).toEqual(before);
  });

  test("histories, backup labels and partial segments are stored as they are", async () => {
    const folder = join(cluster.directory, "others");
    await mkdir(folder);
    const whole = await readFile(join(cluster.dataDirectory, "pg_wal", segment));
    const files: Record<string, Buffer> = {
      "00000002.history": Buffer.from("1\t0/3000000\tno recovery target specified\n"),
      [`${segment}.00000028.backup`]: Buffer.from("START WAL LOCATION: 0/3000028\n"),
      [`${segment}.partial`]: whole,
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content);
      expect(await push(join(folder, name))).toEqual({ exitCode: 0, said: "" });
      const logged = Buffer.concat(
        await Array.fromAsync(kept.folder.readLog(`${name.slice(0, 8)}/${name}`)),
      );
      expect(logged.equals(content)).toBe(true);
    }
    await rm(kept.file(kept.folder.logPath("00000002/00000002.history")));
  });

  test("fails while the repository is away, makes no new one in its place, and goes on when it is back", async () => {
    const next = await wholeSegment(cluster);
    await rename(kept.path, `${kept.path}-away`);
    await mkdir(kept.path);
    expect((await push(`pg_wal/${next}`)).exitCode).toBe(1);
    expect(await readdir(kept.path)).toEqual([]);
    await rm(kept.path, { recursive: true });
    await rename(`${kept.path}-away`, kept.path);
    expect((await push(`pg_wal/${next}`)).exitCode).toBe(0);
  });
});

/** A copy is promoted and archives on into the same repository: two timelines from one root. */
describe("an archive with two timelines", () => {
  let cluster: TestCluster;
  let kept: ClusterRepository;
  let promoted: Server | undefined;
  let ends: { one: number; two: number };

  beforeAll(async () => {
    cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
    kept = await repositoryBeside(cluster);
    await archiveInto(cluster);
    const fetchCommand = [...(await walCommand(cluster)), "fetch"];
    await cluster.query("create table ledger(n serial primary key)");
    await write(cluster.server, 10);
    await kept.take({ transport: "wire" });
    await write(cluster.server, 10);
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
    await archived(cluster.server);
    await write(promoted, 30);
    await archived(promoted);
    ends = { one: await count(cluster.server), two: await count(promoted) };
  }, 120_000);
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
      { timeout: 30_000, interval: 50 },
    );
  }

  async function recoveredAlong(timeline: number | undefined): Promise<number> {
    const to = join(cluster.directory, `along-${timeline ?? "newest"}`);
    const { path } = await restoreBeside(cluster, kept, {
      to,
      timeline,
      fetchCommand: [...(await walCommand(cluster)), "fetch"],
    });
    const { programs, account } = cluster;
    const settings = { hot_standby: "off", archive_mode: "off" };
    const server = await Server.start({ programs, account, dataDirectory: path, settings });
    try {
      await server.accepting("postgres");
      return await count(server);
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
    expect(await recoveredAlong(undefined)).toBe(ends.two);
    expect(await recoveredAlong(1)).toBe(ends.one);
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
});
