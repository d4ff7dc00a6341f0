import { access, chmod, mkdtempDisposable, readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSteps } from "@lifeboat/core";
import { createDatabase, schema, trafficProgram } from "@lifeboat/cronping";
import { abortMigration, loadMigration, migrationStatus } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { execa } from "execa";
import type { LifeboatConfig } from "lifeboat";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { migrationRequest } from "../../packages/cli/src/migration-request.ts";
import { rehearseCutover } from "../../packages/cli/src/rehearse/rehearse-cutover.ts";
import { Traffic } from "../../packages/cli/src/rehearse/traffic.ts";
import { type RehearsalPlace, rehearse } from "../../packages/cli/src/rehearse.ts";
import { Session } from "../../packages/cli/src/session.ts";
import { BIN, Place } from "../cli/command.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";

let place: Place;
let cluster: TestCluster;
let seen: RehearsalPlace | undefined;
let stop: AbortController;

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  await createDatabase({ path: place.at("app.db"), rows: 200 });
  const { schema: _, ...configuration } = configurationOf(trafficProgram);
  await place.write("lifeboat.config.json", configuration);
  const taken = await place.run(["backup", "--engine", "sqlite"]);
  expect(taken.status, taken.stderr).toBe(0);
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  seen = undefined;
  stop = new AbortController();
});

afterEach(async () => {
  // However it ended: nothing of it runs, nothing of it lies anywhere.
  vi.unstubAllEnvs();
  if (!seen) return;
  const socket = new URL(seen.postgresUrl).searchParams.get("host") ?? "";
  expect(socket).toMatch(/^\/./);
  for (const path of [seen.folder, socket]) {
    await expect(access(path)).rejects.toThrow("ENOENT");
    const left = async () => (await execa("pgrep", ["-f", path], { reject: false })).stdout;
    await expect.poll(left).toBe("");
  }
});

function configurationOf(program: string): LifeboatConfig {
  return {
    app: "cronping",
    repository: { type: "filesystem", path: place.at("repository") },
    sqlite: { name: "cronping", path: place.at("app.db") },
    postgres: { url: cluster.superuserUrl, binDirectory: cluster.programs.directory },
    traffic: { program, rate: 200 },
    migrate: { columns: { "notifications.channel_id": { constraint: "not-valid" } } },
    schema,
  };
}

function session(program = trafficProgram, migrate: LifeboatConfig["migrate"] = {}): Session {
  return new Session({
    program: "lifeboat",
    ownCommand: [process.execPath, BIN],
    global: { json: false, quiet: true, verbose: false, color: false },
    builtIn: async () => {
      const configuration = configurationOf(program);
      return { ...configuration, migrate: { ...configuration.migrate, ...migrate } };
    },
    signal: stop.signal,
    run: runSteps,
  });
}

function count(path: string, table: string): number {
  const database = new Database(path, { readonly: true });
  try {
    return Number(database.prepare(`select count(*) from ${table}`).pluck().get());
  } finally {
    database.close();
  }
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows[0];
  } finally {
    await client.end();
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("a rehearsal", () => {
  test("works on copies of both sides, under the product's traffic, and moves it from one to the other", async () => {
    const before = {
      live: count(place.at("app.db"), "activity"),
      file: await stat(place.at("app.db")),
    };
    const result = await rehearse(session(), async (copies, signal) => {
      seen = copies;
      const { sqlitePath, postgresUrl, traffic } = copies;
      expect(((await stat(copies.folder)).mode & 0o777).toString(8)).toBe("700");
      await until(() => count(sqlitePath, "activity") > before.live + 5);
      expect(traffic?.commits).toBeGreaterThan(0);
      const { version, tables } = await ask(
        postgresUrl,
        "select current_setting('server_version_num')::int / 10000 as version, (select count(*) from pg_tables where schemaname = 'public')::int as tables",
      );
      expect({ version, tables }).toEqual({ version: cluster.programs.major, tables: 0 });
      await traffic?.stop();
      await loadMigration({
        ...(await migrationRequest(session())),
        sqlite: { path: sqlitePath },
        postgres: { url: postgresUrl },
      });
      const rows = count(sqlitePath, "activity");
      await traffic?.switchTo({ url: postgresUrl }, signal);
      await until(async () => {
        const { n } = await ask(postgresUrl, "select count(*)::int as n from activity");
        return Number(n) > rows + 5;
      });
      return "done";
    });
    expect(result).toBe("done");
    expect(count(place.at("app.db"), "activity")).toBe(before.live);
    expect((await stat(place.at("app.db"))).mtimeMs).toBe(before.file.mtimeMs);
    const { tables } = await ask(
      cluster.superuserUrl,
      "select count(*)::int as tables from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    expect(tables).toBe(0);
  });

  test("moves a product that is loaded already and followed, whose backups hold what that has made in SQLite", async () => {
    const live = {
      ...(await migrationRequest(session())),
      postgres: { url: cluster.superuserUrl },
      live: true,
    };
    await loadMigration(live);
    try {
      const taken = await place.run(["backup", "--engine", "sqlite"]);
      expect(taken.status, taken.stderr).toBe(0);
      await cluster.query("create role cronping login");
      const backups = async () => JSON.parse((await place.run(["list", "--json"])).stdout).backups;
      // A base backup begins a new one as it ends.
      const segment = () =>
        ask(cluster.superuserUrl, "select pg_walfile_name(pg_current_wal_lsn()) as name");
      const before = [await backups(), await segment()];
      const rehearsal = await rehearseCutover(session(trafficProgram, { appRole: "cronping" }), {
        ...{ run: runSteps, steps: [] },
        skip: ["rights"],
      });
      // Of the real server, whose tables that role has no right on; the copy's has no such role.
      expect(rehearsal.gates.map(({ name, ok, skipped }) => [name, ok, skipped])).toEqual([
        ["lag", true, false],
        ["verified", true, false],
        ["rights", false, true],
      ]);
      expect(rehearsal.gates.at(-1)?.message).toContain("INSERT");
      const unwanted = ({ id, severity }: (typeof rehearsal.findings)[number]) =>
        severity === "error" || id === "traffic-idle";
      expect(rehearsal.findings.filter(unwanted)).toEqual([]);
      expect(rehearsal.commits).toBeGreaterThan(0);
      // Those that it took were of the copies, and lay in a repository of their own.
      expect([await backups(), await segment()]).toEqual(before);
      expect(await migrationStatus(live)).toMatchObject({ phase: "loaded", captured: true });
    } finally {
      await abortMigration({ ...live, dropLoaded: true });
    }
  });

  test("that fails tells its own failure and takes everything away", async () => {
    const failing = rehearse(session(), async (copies) => {
      seen = copies;
      throw new Error("the work failed");
    });
    await expect(failing).rejects.toThrow("the work failed");
    expect(seen).toBeDefined();
  });

  test("that is stopped takes everything away", async () => {
    const stopped = rehearse(session(), async (copies, signal) => {
      seen = copies;
      stop.abort(new Error("stopped by hand"));
      signal.throwIfAborted();
    });
    await expect(stopped).rejects.toThrow("stopped by hand");
    expect(seen).toBeDefined();
  });

  test("takes a product that is refused after the freeze for what it is", async () => {
    await rehearse(session(), async (copies) => {
      seen = copies;
      const database = new Database(copies.sqlitePath, { timeout: 60_000 });
      database.exec(
        "create trigger refuse before insert on activity begin select raise(abort, 'lifeboat: moved to Postgres, writes refused'); end",
      );
      database.close();
      await until(async () => {
        const found = await execa("pgrep", ["-f", copies.sqlitePath], { reject: false });
        return found.stdout === "";
      });
    });
    expect(seen).toBeDefined();
  });

  test("tells when the product's traffic fails for any other reason, in its own words", async () => {
    await rehearse(session(), async (copies) => {
      seen = copies;
      const database = new Database(copies.sqlitePath, { timeout: 60_000 });
      database.exec("drop table activity");
      database.close();
      await until(async () => {
        const found = await execa("pgrep", ["-f", copies.sqlitePath], { reject: false });
        return found.stdout === "";
      });
    }).then(
      () => expect.unreachable("it was taken for a success"),
      (thrown) => {
        expect(thrown).toMatchObject({ code: "TRAFFIC_FAILED" });
        expect(String(thrown.message)).toContain("no such table");
      },
    );
  });

  test("ends a product that hears of no signal, and tells when somebody else has ended it", async () => {
    const program = await place.write(
      "deaf.mjs",
      "console.log(process.pid); setInterval(() => {}, 1000)",
    );
    await rehearse(session(program), async (copies) => {
      seen = copies;
    });
    expect(seen?.traffic?.commits).toBe(1);
    const killed = rehearse(session(program), async (copies) => {
      seen = copies;
      await execa("pkill", ["-KILL", "-f", copies.sqlitePath]);
      await until(async () => {
        const found = await execa("pgrep", ["-f", copies.sqlitePath], { reject: false });
        return found.stdout === "";
      });
    });
    await expect(killed).rejects.toMatchObject({ code: "TRAFFIC_FAILED" });
  });

  test("tells where the traffic committed once and then no more", async () => {
    const program = await place.write("silent.mjs", "console.log(1); setInterval(() => {}, 1000)");
    const { findings } = await rehearseCutover(session(program), {
      ...{ run: runSteps, steps: [], skip: [] },
    });
    expect(findings).toMatchObject([{ id: "traffic-idle", severity: "warning" }]);
  });

  test("does not wait without end for a traffic that commits nothing", async () => {
    const program = await place.write("mute.mjs", "setInterval(() => {}, 1000)");
    await using traffic = new Traffic({ program, rate: 1 }, { firstCommitMs: 300 });
    const started = traffic.start({ database: place.at("app.db") }, stop.signal);
    await expect(started).rejects.toMatchObject({
      code: "TRAFFIC_FAILED",
      message: expect.stringContaining("told of no commit"),
    });
  });

  test("does not begin where the traffic can't, and leaves nothing", async () => {
    const program = await place.write("traffic.mjs", 'throw new Error("it has no key")');
    await using temporary = await mkdtempDisposable(join(tmpdir(), "lifeboat-test-"));
    await chmod(temporary.path, 0o777);
    vi.stubEnv("TMPDIR", temporary.path);
    const work = rehearse(session(program), async () => expect.unreachable("it began"));
    await expect(work).rejects.toMatchObject({
      code: "TRAFFIC_FAILED",
      message: expect.stringContaining("it has no key"),
    });
    expect(await readdir(temporary.path)).toEqual([]);
  });
});
