import { followReverse } from "@lifeboat/migrate";

/** Follows until it is killed, and says so once it has begun. */
await followReverse({
  sqlite: { path: process.argv[2] ?? "" },
  postgres: { url: process.env.LIFEBOAT_TEST_URL ?? "" },
  signal: new AbortController().signal,
  run: async (steps) => {
    process.stdout.write("following\n");
    for (const step of steps) await step.run(() => {});
  },
});
