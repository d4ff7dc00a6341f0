import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { allObjects, backup } from "@lifeboat/core";
import { expect, test } from "vitest";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

test.each(["wal", "delete"] as const)(
  "while it is copied ends the backup, and nothing of it stays (journal mode %s)",
  async (journalMode) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path, { journalMode });
    const repository = await app.repository();
    let written = false;
    const taking = backup({
      repository,
      engine: app.engine,
      type: "full",
      options: {},
      signal: new AbortController().signal,
      run: async (steps) => {
        for (const step of steps)
          await step.run(({ note }) => {
            if (note !== "copy the file" || written) return;
            // As a careless `cp` over it would: another process, which asks SQLite for nothing.
            written = spawnSync("sh", ["-c", 'printf x >> "$1"', "sh", app.path]).status === 0;
          });
      },
    });
    await expect(taking).rejects.toMatchObject({ code: "DATABASE_CHANGED" });
    expect(written).toBe(true);
    const left = await Array.fromAsync(allObjects(repository.storage, "product/"));
    expect(left.map(({ path }) => path)).toEqual(["product/lifeboat.json"]);
  },
);
