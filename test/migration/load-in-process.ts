import { writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { loadMigration } from "@lifeboat/migrate";

/**
 * A load in a process of its own, which tells each step as it begins, and stands still before one if told to:
 * `node load-in-process.ts PATH [STEP]`, URL in the environment.
 */
await loadMigration({
  sqlite: { path: process.argv[2] ?? "" },
  postgres: { url: process.env.LIFEBOAT_TEST_URL ?? "" },
  signal: new AbortController().signal,
  run: async (steps) => {
    for (const step of steps) {
      writeSync(1, `${step.title}\n`);
      if (step.title === process.argv[3]) await setTimeout(2 ** 31 - 1);
      await step.run(() => undefined);
    }
  },
});
writeSync(1, "done\n");
