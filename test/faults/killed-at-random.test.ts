import { expect, test } from "vitest";
import { killAtRandom } from "../support/postgres-kills.ts";

/** Another order each time; the seed of a failure is told, and `npm run soak:postgres SEED` runs it again. */
const seed = Math.floor(Math.random() * 2 ** 31);

test("no commit that returned is lost, whoever is killed at whatever instant", async () => {
  const { faults, kills, acknowledged } = await killAtRandom({ seed, kills: 20 });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  expect(Object.values(kills).reduce((sum, each) => sum + each, 0)).toBe(20);
  expect(acknowledged).toBeGreaterThanOrEqual(20);
});
