import { rollbackMigration } from "@lifeboat/migrate";

/** Takes a migration back and says which step begins, so that it can be killed there. */
const report = await rollbackMigration({
  sqlite: { path: process.argv[2] ?? "" },
  postgres: { url: process.env.LIFEBOAT_TEST_URL ?? "" },
  signal: new AbortController().signal,
  run: async (steps) => {
    for (const step of steps) {
      process.stdout.write(`${step.title}\n`);
      await step.run(() => {});
    }
  },
});
process.stdout.write(`${JSON.stringify(report)}\n`);
