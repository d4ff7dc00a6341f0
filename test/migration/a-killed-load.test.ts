import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const PROGRAM = fileURLToPath(new URL("./load-in-process.ts", import.meta.url));

const BACKENDS =
  "SELECT query FROM pg_stat_activity WHERE application_name = 'lifeboat migrate' AND datname = current_database()";

// Each begins with what the kill before it has left.
describe("a load that is killed", { shuffle: false }, () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
    one = await migrationCase(
      cluster,
      `CREATE TABLE parent(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
       CREATE TABLE child(id INTEGER PRIMARY KEY, parent_id INT REFERENCES parent, body TEXT, at REAL);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       INSERT INTO parent(name) SELECT 'name ' || i FROM n;
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
       INSERT INTO child SELECT i, 1 + i % 1000, 'body ' || i, i / 3.0 FROM n`,
    );
  });
  afterAll(async () => {
    await one.end();
    await cluster.stop();
  });

  /** Starts a load, ends it without mercy as soon as it says that a step begins. */
  async function killedAt(title: string): Promise<string[]> {
    // However late the kill comes: before the commit none is made, and of what follows that nothing has begun.
    const standsStill = /^(commit|close the journal)$/.test(title) ? "close the journal" : "commit";
    const child = spawn(process.execPath, [PROGRAM, one.path, standsStill], {
      env: { ...process.env, LIFEBOAT_TEST_URL: one.url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line);
      if (line === title) child.kill("SIGKILL");
    }
    await exit;
    // What it had sent may still be at work in the server.
    await expect.poll(() => one.query(BACKENDS)).toEqual([]);
    return said;
  }

  it.each([
    "open the journal",
    "create the tables",
    "copy the rows",
    "build keys and indexes",
    "validate constraints",
    "compare both sides",
    "commit",
    "close the journal",
  ])("leaves nothing to see when that is as it begins to %s", async (title) => {
    expect(await killedAt(title)).toContain(title);
    const visible = await one.query(
      "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    // A commit may have been sent before the kill; then all of it is there.
    if (title === "commit") expect([0, 7]).toContain(visible.length);
    else if (title === "close the journal") expect(visible).toHaveLength(7);
    else expect(visible).toEqual([]);
  });

  it("is simply run again, also once it was committed", async () => {
    expect(await one.load()).toMatchObject({
      rows: 61_000,
      findings: [{ id: "loaded-before" }],
    });
    expect((await one.verify()).ok).toBe(true);
    const journal = await one.query("SELECT phase FROM lifeboat.migrations");
    expect(journal).toEqual([{ phase: "loaded" }]);
  });
});
