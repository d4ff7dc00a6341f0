import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { afterEach, describe, expect, test, vi } from "vitest";
import { loadConfiguration } from "../src/config/load.ts";
import { resolveConfiguration } from "../src/config/resolve.ts";
import type { LifeboatConfig } from "../src/configuration.ts";

const PLACE = {
  source: "lifeboat.config.json",
  file: "/etc/app/lifeboat.config.json",
  directory: "/etc/app",
};

const COMPLETE = {
  app: "documint",
  repository: { type: "filesystem", path: "/var/backups/lifeboat" },
  sqlite: { path: "/srv/documint/app.db" },
  postgres: {
    url: "postgres://lifeboat@127.0.0.1:5432/documint",
    dataDirectory: "/var/lib/postgresql/15/main",
    binDirectory: "/usr/lib/postgresql/15/bin",
  },
  compression: { level: 5, wal: 1 },
  archive: { mode: "command" },
  drill: { checks: [{ name: "has invoices", sql: "select count(*) > 0 from invoices" }] },
};

function failureOf(value: unknown): LifeboatError {
  try {
    resolveConfiguration(value, PLACE);
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return thrown;
    throw thrown;
  }
  throw new Error("was accepted");
}

afterEach(() => vi.unstubAllEnvs());

describe("a configuration", () => {
  test("is resolved to what the verbs use", () => {
    const resolved = resolveConfiguration(COMPLETE, PLACE);
    expect(resolved).toMatchObject({
      app: "documint",
      repository: { path: "/var/backups/lifeboat" },
      sqlite: [{ name: "app", path: "/srv/documint/app.db" }],
      postgres: COMPLETE.postgres,
      compression: { level: 5, logLevel: 1 },
      live: "sqlite",
    });
  });

  test("bounds what may wait for the archive only where the database goes first", () => {
    const archiveOf = (archive: object) =>
      resolveConfiguration({ ...COMPLETE, archive }, PLACE).archive;
    const bounded = { mode: "command", maxBacklog: 2 ** 30 };
    expect(archiveOf({ maxBacklog: "1G" })).toEqual(bounded);
    expect(archiveOf({ maxBacklog: "1G", policy: "database" })).toEqual(bounded);
    expect(archiveOf({ maxBacklog: "1G", policy: "chain" })).toEqual({ mode: "command" });
  });

  test("has relative paths from its own folder", () => {
    const { repository, sqlite, postgres } = resolveConfiguration(
      {
        app: "a",
        repository: { type: "filesystem", path: "../backups" },
        sqlite: { path: "data/a.b.db" },
        postgres: { ...COMPLETE.postgres, dataDirectory: "pg/data", binDirectory: "pg/bin" },
      },
      PLACE,
    );
    expect(repository.path).toBe("/etc/backups");
    expect(postgres).toMatchObject({
      dataDirectory: "/etc/app/pg/data",
      binDirectory: "/etc/app/pg/bin",
    });
    expect(sqlite).toEqual([{ name: "a.b", path: "/etc/app/data/a.b.db" }]);
  });

  test("is the file that is named, though another is built into the command", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "lifeboat-named-"));
    const file = join(folder.path, "other.json");
    await writeFile(file, JSON.stringify({ ...COMPLETE, app: "other" }));
    const builtIn = async () => COMPLETE as LifeboatConfig;
    expect((await loadConfiguration({ file, builtIn })).app).toBe("other");
    expect((await loadConfiguration({ builtIn })).app).toBe("documint");
  });

  test("takes any string from the environment", () => {
    vi.stubEnv("LIFEBOAT_TEST_URL", "postgres://u:p@h/d");
    vi.stubEnv("LIFEBOAT_TEST_REPO", "/r");
    const { postgres, repository, live } = resolveConfiguration(
      {
        app: "a",
        repository: { type: "filesystem", path: { env: "LIFEBOAT_TEST_REPO" } },
        postgres: { url: { env: "LIFEBOAT_TEST_URL" } },
      },
      PLACE,
    );
    expect(postgres?.url).toBe("postgres://u:p@h/d");
    expect(repository.path).toBe("/r");
    expect(live).toBe("postgres");
  });

  test("compresses the log as the rest unless it says otherwise", () => {
    const levels = (compression: unknown) =>
      resolveConfiguration({ ...COMPLETE, compression }, PLACE).compression;
    expect(levels(undefined)).toEqual({ level: 3, logLevel: 3 });
    expect(levels({ level: 7 })).toEqual({ level: 7, logLevel: 7 });
    expect(levels({ wal: 1 })).toEqual({ level: 3, logLevel: 1 });
  });

  test("names the product's switch as a line, as a list, or by what it is", () => {
    const list = ["systemctl", "restart", "shop"];
    for (const [given, meant] of [
      ["restart", "restart"],
      [list, list],
      [{ command: list }, list],
      [{ command: "restart" }, "restart"],
      [{ url: "https://switch/shop" }, { url: "https://switch/shop" }],
    ])
      expect(
        resolveConfiguration({ ...COMPLETE, migrate: { onCutover: given } }, PLACE).migrate,
      ).toEqual({ onCutover: meant });
  });

  test("finds the product's traffic by its own place, and knows a rate for it", () => {
    const traffic = (value: unknown) =>
      resolveConfiguration({ ...COMPLETE, traffic: value }, PLACE).traffic;
    expect(traffic(undefined)).toBeNull();
    expect(traffic({ program: "traffic.ts" })).toEqual({
      program: "/etc/app/traffic.ts",
      rate: 50,
    });
    expect(traffic({ program: "/srv/write", rate: 7 })).toEqual({ program: "/srv/write", rate: 7 });
    expect(() => traffic({ program: "traffic.ts", rate: 0 })).toThrow(
      "traffic.rate: must be above",
    );
    expect(() => traffic({})).toThrow("traffic.program: is missing");
  });

  test("reports every fault, a line each, with its path and without the value", () => {
    const { code, kind, message, details } = failureOf({
      app: 5,
      repository: { type: "filesystem" },
      sqlite: [{ path: "/a.db" }, { pth: "/b.db", path: { env: "LIFEBOAT_TEST_UNSET" } }],
      postgres: { url: "mysql://secret@h/d" },
      compression: { level: 99 },
      surprise: true,
    });
    expect({ code, kind }).toEqual({ code: "CONFIG_INVALID", kind: "usage" });
    expect(message.split("\n")).toEqual([
      "lifeboat.config.json: sqlite[1].path: the environment variable LIFEBOAT_TEST_UNSET is not set",
      "lifeboat.config.json: app: must be a string, not a number",
      "lifeboat.config.json: repository.path: is missing",
      "lifeboat.config.json: sqlite[1].pth: is an unknown key",
      "lifeboat.config.json: postgres.url: must start with postgres://",
      "lifeboat.config.json: compression.level: must be 1 to 19",
      "lifeboat.config.json: surprise: is an unknown key",
    ]);
    expect(details.faults).toHaveLength(7);
  });
});

describe("of a configuration is refused, with its path,", () => {
  const { sqlite, ...rest } = COMPLETE;
  test.each([
    ["a document that is no object", 5, "must be an object, not a number"],
    ["a missing app", { ...COMPLETE, app: undefined }, "app: is missing"],
    ["an empty app", { ...COMPLETE, app: "" }, "app: is empty"],
    ["an app that is no folder name", { ...COMPLETE, app: "a/b" }, "app: may hold only"],
    ["a missing repository", { app: "a", sqlite }, "repository: is missing"],
    [
      "a repository of no known type",
      { ...COMPLETE, repository: { type: "ftp", path: "/x" } },
      'repository.type: must be "filesystem"',
    ],
    [
      "no database at all",
      { app: "a", repository: COMPLETE.repository },
      "sqlite: is missing, and postgres too",
    ],
    ["an empty list of databases", { ...COMPLETE, sqlite: [] }, "sqlite: is empty"],
    [
      "a database that is a text",
      { ...COMPLETE, sqlite: "/a.db" },
      "sqlite: must be an object, not a string",
    ],
    [
      "two databases of one name",
      { ...rest, sqlite: [{ path: "/a/x.db" }, { path: "/b/x.sqlite" }] },
      'sqlite[1].path: gives a second database the name x: give the database one beside its path, as in "name": "orders"',
    ],
    [
      "one file under two names",
      {
        ...rest,
        sqlite: [
          { name: "x", path: "/a/x.db" },
          { name: "y", path: "/a/../a/x.db" },
        ],
      },
      "sqlite[1].path: is the file of sqlite[0] too",
    ],
    ["a null", { ...COMPLETE, postgres: null }, "postgres: must be an object, not null"],
    [
      "a level that is a text",
      { ...COMPLETE, compression: { level: "3" } },
      "compression.level: must be a number, not a string",
    ],
    [
      "a policy without its bound",
      { ...COMPLETE, archive: { policy: "database" } },
      "archive: policy database needs maxBacklog",
    ],
    [
      "a bound where the server has its own",
      { ...COMPLETE, archive: { mode: "receive", maxBacklog: "1G" } },
      "archive: mode receive has no maxBacklog",
    ],
    ["a list of configurations", [COMPLETE], "must be an object, not a list"],
    [
      "a level that zstd has and Lifeboat does not",
      { ...COMPLETE, compression: { level: 20 } },
      "compression.level: must be 1 to 19",
    ],
    [
      "no time at all for a switch",
      { ...COMPLETE, migrate: { budget: 0 } },
      "migrate.budget: must be more than 0",
    ],
    [
      "a broken level",
      { ...COMPLETE, compression: { level: 1.5 } },
      "compression.level: must be a whole number",
    ],
    [
      "a check without a statement",
      { ...COMPLETE, drill: { checks: [{ name: "x" }] } },
      "drill.checks[0].sql: is missing",
    ],
    [
      "a check for one engine only",
      { ...COMPLETE, drill: { checks: [{ name: "x", sql: { sqlite: "select 1" } }] } },
      "drill.checks[0].sql.postgres: is missing",
    ],
    [
      "a standby that is no URL",
      { ...COMPLETE, postgres: { ...COMPLETE.postgres, backupFrom: "standby:5432" } },
      "postgres.backupFrom: must start with postgres://",
    ],
    [
      "an extra path that is relative",
      { ...COMPLETE, postgres: { ...COMPLETE.postgres, extraPaths: ["/etc/ssl", "keys"] } },
      "postgres.extraPaths[1]: must be an absolute path",
    ],
    [
      "a schema that is no function",
      { ...COMPLETE, schema: { sqlite: "./schema.ts" } },
      "schema.sqlite: must be a function",
    ],
    [
      "a database whose file makes no folder's name",
      { ...COMPLETE, sqlite: { path: "/srv/my orders.db" } },
      "sqlite.path: makes no safe name for a folder",
    ],
    [
      "a variable with something beside it",
      { ...COMPLETE, app: { env: "PATH", else: "documint" } },
      "app: must be a string, not an object",
    ],
    [
      "a switch that cannot be asked",
      { ...COMPLETE, migrate: { onCutover: { url: "https://" } } },
      "migrate.onCutover.url: is no URL",
    ],
    [
      "a switch whose password cannot be read",
      { ...COMPLETE, migrate: { onRollback: "http://me:100%@switch/shop" } },
      "migrate.onRollback: is no URL",
    ],
  ])("%s", (_, value, said) => {
    const { message, kind } = failureOf(value);
    expect(kind).toBe("usage");
    expect(message).toContain(said);
    expect(message.split("\n")).toHaveLength(1);
  });
});

describe("what the contract names and this version does not do is refused by its path:", () => {
  test.each([
    [
      "encryption",
      { encryption: { recipients: ["age1"], identityFile: { env: "LIFEBOAT_TEST_UNSET" } } },
    ],
    ["encryption", { encryption: false }],
    ["retention", { retention: { full: 4, days: 35 } }],
    ["repository.type", { repository: { type: "s3", bucket: "b" } }],
  ])("%s", (key, addition) => {
    const { code, kind, message, details } = failureOf({ ...COMPLETE, ...addition });
    expect({ code, kind }).toEqual({ code: "NOT_AVAILABLE", kind: "usage" });
    expect(message).toContain(`${key}: `);
    expect(details.keys).toEqual([key]);
  });
});
