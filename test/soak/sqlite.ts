import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { execa } from "execa";

/**
 * The kills of the suite, by the thousand: `npm run soak:sqlite -- --rounds 1000`. Writer and watch are killed at random
 * instants; after each kill the database is restored to its latest state and to a random instant, and has to be a
 * prefix of what was acknowledged. The seed is printed; SEED=N runs the same again.
 */
const { values } = parseArgs({ options: { rounds: { type: "string", default: "1000" } } });
const root = fileURLToPath(new URL("../..", import.meta.url));
const { exitCode } = await execa(
  process.execPath,
  [
    fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url)),
    ...["run", "--config", "test/vitest.config.ts", "--testTimeout", "86400000"],
    "test/recovery/sqlite-watch-kills.test.ts",
  ],
  {
    cwd: root,
    env: { ROUNDS: values.rounds, RESTORE_EVERY: "1" },
    stdio: "inherit",
    reject: false,
  },
);
process.exitCode = exitCode ?? 1;
