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
    const told = (severity: string) =>
      plan.findings
        .filter((found) => found.severity === severity)
        .map(
          ({ id, table, column, count, sample }) =>
            `${id} ${table}.${column}, ${count}: ${sample.join(" ")}`,
        )
        .toSorted();
    expect(told("error")).toEqual([
      "check-violated conf.check 2, 1: 3",
      "check-violated conf.v_ok, 1: 3",
      "foreign-key-orphans c.pa,pb, 1: 3",
      "foreign-key-orphans fk_case.u, 1: 2",
      "foreign-key-orphans fk_nc.email, 1: 1",
      "foreign-key-orphans tree.parent, 1: 3",
      "foreign-key-without-parent fk_ghost.g, 1: ",
      "generated-not-translated gen.js, 3: ",
      "mixed-classes affinity.b, 8: 3",
      "mixed-classes affinity.i, 9: 4",
      "mixed-classes affinity.n, 9: 8",
      "mixed-classes affinity.r, 9: 6",
      "mixed-classes affinity.t, 8: 5",
      "mixed-classes affinity.x, 8: 4",
      "mixed-classes strict_t.a, 3: 2",
      "text-with-nul badtext.t, 6: 1 2 3 4 12",
      "unique-not-translated jobs.jobs_expr, 1: ",
    ]);
    expect(told("warning")).toEqual(
      expect.arrayContaining([
        "conflict-clause conf.null, 3: ",
        "null-in-primary-key null_pk.code, 2: 2 3",
        "numbers-in-text users.created_at, 2: 4 5",
        "numbers-in-text users.is_admin, 5: 1 2 5 7 8",
        "virtual-table geo.null, 4: geo_rowid geo_node geo_parent",
      ]),
    );
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
