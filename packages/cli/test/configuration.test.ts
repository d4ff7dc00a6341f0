import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { loadConfiguration } from "../src/config/load.ts";
import { resolveConfiguration } from "../src/config/resolve.ts";
import type { LifeboatConfig } from "../src/configuration.ts";
import { COMPLETE, failureOf, PLACE } from "./configuration-case.ts";

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
      another: true,
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
      "lifeboat.config.json: another: is an unknown key",
    ]);
    expect(details.faults).toHaveLength(8);
  });
});
