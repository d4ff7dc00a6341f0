import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { createProduct, products, runCommand } from "./products.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

describe.each(products)("lifeboat-$name", (product) => {
  test("rehearses its move to Postgres on copies, under its own traffic, and the way back", async () => {
    const path = await createProduct(product);
    const prefix = product.name.toUpperCase();
    const environment = {
      [`${prefix}_REPOSITORY`]: join(dirname(path), "repository"),
      [`${prefix}_SQLITE`]: path,
      [`${prefix}_POSTGRES_URL`]: cluster.url,
      [`${prefix}_POSTGRES_BIN`]: cluster.programs.directory,
      LIFEBOAT_STATE_DIRECTORY: join(dirname(path), "state"),
    };
    const taken = await runCommand(product, ["backup"], environment);
    expect(taken.exitCode, taken.stderr).toBe(0);
    const ran = await runCommand(
      product,
      ["migrate", "cutover", "--rehearse", "--json"],
      environment,
    );
    expect(ran.exitCode, ran.stdout + ran.stderr).toBe(0);
    const rehearsal = JSON.parse(ran.stdout);
    expect(rehearsal).toMatchObject({ phase: "cutover", rehearsal: true });
    expect(rehearsal.commits).toBeGreaterThan(0);
    expect(rehearsal.holdSeconds).toBeGreaterThan(0);
    expect(rehearsal.steps.map(({ ok }: { ok: boolean }) => ok)).not.toContain(false);
    const status = await runCommand(product, ["migrate", "status", "--json"], environment);
    expect(JSON.parse(status.stdout)).toMatchObject({ phase: "none", captured: false });
    // What was written to the copy in Postgres came back; the product was not moved anywhere.
    expect(rehearsal.rollback.rows).toBeGreaterThan(0);
    const list = await runCommand(product, ["list", "--json"], environment);
    const { live, backups } = JSON.parse(list.stdout);
    expect(live).toBe("sqlite");
    expect(backups).toHaveLength(1);
  });
});
