import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { allObjects, backup } from "@lifeboat/core";
import { expect, test } from "vitest";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

const HARMS = {
  "longer than it was": 'printf x >> "$1"',
  "in place": 'printf x | dd of="$1" bs=1 seek=100000 conv=notrunc status=none',
  "by another file of the same size and time": 'cp -p "$1" "$1.new" && mv "$1.new" "$1"',
};

test.each(
  (["wal", "delete"] as const).flatMap((journalMode) =>
    Object.entries(HARMS).map(([how, command]) => ({ journalMode, how, command })),
  ),
)(
  "while it is copied, $how, ends the backup, and nothing of it stays (journal mode $journalMode)",
  async ({ journalMode, command }) => {
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
            written = spawnSync("sh", ["-c", command, "sh", app.path]).status === 0;
          });
      },
    });
    await expect(taking).rejects.toMatchObject({ code: "DATABASE_CHANGED" });
    expect(written).toBe(true);
    const left = await Array.fromAsync(allObjects(repository.storage, "product/"));
    expect(left.map(({ path }) => path)).toEqual(["product/lifeboat.json"]);
  },
);
