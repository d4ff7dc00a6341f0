import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { createProduct, products } from "./products.ts";
import { actualTables, declaredTables } from "./sqlite-shape.ts";

describe.each(products)("$name", (product) => {
  test("creates exactly the tables that its drizzle schema for SQLite declares", async () => {
    const database = new Database(await createProduct(product, 1), { readonly: true });
    const schema = await product.schema.sqlite();
    const live = actualTables(database);
    database.close();
    const virtual = Object.keys(live).filter((name) => name.startsWith("requests_fts"));
    for (const name of virtual) delete live[name];
    expect(Object.keys(live).length).toBeGreaterThanOrEqual(7);
    expect(live).toEqual(declaredTables(schema));
  });
});
