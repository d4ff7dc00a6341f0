import type { Client } from "pg";
import { expect, it, onTestFinished } from "vitest";
import type { LiveSource } from "../src/live-source.ts";
import { LoadSides } from "../src/load/load-sides.ts";
import type { ProductPace } from "../src/product-pace.ts";
import { capturedCase } from "./captured-case.ts";

it("a load rests for the product before each part that it compares, and holds nothing meanwhile", async () => {
  const one = await capturedCase("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)");
  onTestFinished(() => one.end());
  const done: string[] = [];
  const between = async () => {
    done.push(one.db.inTransaction ? "held" : "rested");
    return 0;
  };
  const sides = new LoadSides({
    source: { db: one.db } as LiveSource,
    client: {} as Client,
    plan: one.plan,
    watermark: () => 0n,
    pace: { between } as unknown as ProductPace,
    signal: new AbortController().signal,
  });
  for (const part of ["first", "second"])
    await sides.look(async ({ inSqlite }) => inSqlite(() => done.push(part)));
  expect(done).toEqual(["rested", "first", "rested", "second"]);
});
