import { readFileSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outermostMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const NASTY = readFileSync(fileURLToPath(new URL("../data/nasty.sql", import.meta.url)), "utf8");

describe.each(await outermostMajors())("a hostile SQLite database, into Postgres %i", (major) => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster({ major });
    one = await migrationCase(cluster, "");
    // Written for the sqlite3 program, which takes strings in double quotes.
    rmSync(one.path, { force: true });
    const database = new DatabaseSync(one.path, { enableDoubleQuotedStringLiterals: true });
    database.exec(NASTY);
    database.close();
  });
  afterAll(async () => {
    await one.end();
    await cluster.stop();
  });

  it("is refused with findings that name each column and constraint that can't be held", async () => {
    const plan = await one.plan();
    const errors = plan.findings.filter((found) => found.severity === "error");
    expect(errors.map((found) => `${found.id} ${found.table}.${found.column}`).toSorted()).toEqual([
      "check-violated conf.check 2",
      "check-violated conf.v_ok",
      "foreign-key-orphans c.pa,pb",
      "foreign-key-orphans fk_case.u",
      "foreign-key-orphans fk_nc.email",
      "foreign-key-orphans tree.parent",
      "foreign-key-without-parent fk_ghost.g",
      "generated-not-translated gen.js",
      "mixed-classes affinity.b",
      "mixed-classes affinity.i",
      "mixed-classes affinity.n",
      "mixed-classes affinity.r",
      "mixed-classes affinity.t",
      "mixed-classes affinity.x",
      "mixed-classes strict_t.a",
      "text-with-nul badtext.t",
      "unique-not-translated jobs.jobs_expr",
    ]);
    expect(errors.every((found) => found.choices.length > 0 && found.summary !== "")).toBe(true);
    await expect(one.load()).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS", kind: "failed" });
    const made = await one.query(
      "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    expect(made).toEqual([]);
  });

  it("is equal on both sides, to the last bit, once every error is answered", async () => {
    await one.answerAll();
    const plan = await one.loadFaithfully();
    expect(plan.tables).toHaveLength(33);
    const verified = await one.verify();
    expect(verified.findings.filter((found) => found.severity === "error")).toEqual([]);
    expect(verified.ok).toBe(true);
  });
});
