import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { createProduct, products, runCommand } from "./products.ts";

describe.each(products)("lifeboat-$name", (product) => {
  const prefix = product.name.toUpperCase();

  test("backs the product up and drills it, with its checks, by its variables alone", async () => {
    const path = await createProduct(product);
    const environment = {
      [`${prefix}_REPOSITORY`]: join(dirname(path), "repository"),
      [`${prefix}_SQLITE`]: path,
      LIFEBOAT_STATE_DIRECTORY: join(dirname(path), "state"),
    };
    const backup = await runCommand(product, ["backup", "--json"], environment);
    expect(backup.exitCode, backup.stdout + backup.stderr).toBe(0);
    expect(JSON.parse(backup.stdout)).toMatchObject({ app: product.name, engine: "sqlite" });
    const drill = await runCommand(product, ["drill", "--json"], environment);
    expect(drill.exitCode, drill.stdout + drill.stderr).toBe(0);
    const held = (JSON.parse(drill.stdout).checks as { name: string; ok: boolean }[])
      .filter(({ ok }) => ok)
      .map(({ name }) => name);
    expect(held).toEqual(expect.arrayContaining(product.checks.map(({ name }) => name)));
  });

  test("prints its runbooks as it is typed, with the variables that it reads and none of their values", async () => {
    const path = await createProduct(product);
    const environment = {
      [`${prefix}_REPOSITORY`]: join(dirname(path), "repository"),
      [`${prefix}_SQLITE`]: path,
      [`${prefix}_POSTGRES_URL`]: "postgres://product:s3cret@127.0.0.1:1/product",
      LIFEBOAT_STATE_DIRECTORY: join(dirname(path), "state"),
    };
    for (const name of ["cutover", "restore", "drill"]) {
      const { exitCode, stdout, stderr } = await runCommand(
        product,
        ["runbook", name],
        environment,
      );
      expect(exitCode, stdout + stderr).toBe(0);
      const verb = name === "cutover" ? "migrate cutover" : `${name} --engine sqlite`;
      expect(stdout).toContain(`\nlifeboat-${product.name} ${verb}`);
      expect(stdout).toContain(`\`${prefix}_POSTGRES_URL ${prefix}_REPOSITORY ${prefix}_SQLITE\``);
      expect(stdout).not.toContain("s3cret");
    }
  });

  test("names the variables that it lacks", async () => {
    const list = await runCommand(product, ["list"], {});
    expect(list.exitCode).toBe(2);
    expect(list.stderr).toContain(`${prefix}_REPOSITORY is not set`);
    expect(list.stderr).toContain(`${prefix}_SQLITE is not set`);
    expect(list.stderr).toContain("what to do: set its variables, or name a configuration");
  });
});
