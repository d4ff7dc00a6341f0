import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { randomFrom } from "../support/random-from.ts";
import { Epoch, oneOf, stop } from "./sqlite-epoch.ts";

/**
 * `npm run soak:sqlite -- --seed N --rounds 2000 [--minutes M]`: kills of a writer with a ledger, of a watch and of
 * backups, at random instants in any order. After each round the latest state and a random instant are restored: each must
 * be a whole prefix of the ledger, with all that it promises and never a row from after its instant. Every 100 rounds a new
 * database with pages of another size begins, so that a round costs the same at the end as at the start. Exits 1 when
 * one is wrong, and keeps what was.
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rounds: { type: "string", default: "500" },
    minutes: { type: "string", default: "1440" },
    epoch: { type: "string", default: "100" },
    rate: { type: "string", default: "300" },
  },
});
const random = randomFrom(Number(values.seed));
const rounds = Number(values.rounds);
const startedAt = Date.now();
const isOver = () => Date.now() - startedAt > Number(values.minutes) * 60_000;

const started = new Set<ChildProcess>();
// Whoever stops it leaves nothing running.
process.on("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const faults: string[] = [];
const counts: Record<string, number> = {};
const kills: Record<string, number> = {};
let [done, commits] = [0, 0];

const count = (into: Record<string, number>, name: string, more = 1) => {
  into[name] = (into[name] ?? 0) + more;
};

async function runEpoch(folder: string): Promise<void> {
  const pageSize = oneOf(random, [512, 1024, 4096, 4096, 65536]);
  process.stdout.write(`\nround ${done}: pages of ${pageSize} bytes\n`);
  const epoch = await Epoch.begin({ folder, rate: values.rate, pageSize, random, started });
  try {
    for (let round = 0; round < Number(values.epoch) && done < rounds && !isOver(); round++) {
      count(counts, await epoch.round());
      done += 1;
      process.stdout.write(`\r${done} of ${rounds}, ${faults.length} wrong`);
    }
    const problems = await epoch.end();
    if (problems.length > 0) throw new Error(JSON.stringify(problems));
  } finally {
    commits += epoch.commits;
    for (const [what, times] of Object.entries(epoch.kills)) count(kills, what, times);
    for (const child of started) await stop(child, "SIGKILL");
  }
}

process.stdout.write(`seed ${values.seed}, ${rounds} rounds\n`);
while (done < rounds && !isOver() && faults.length < 5) {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-soak-"));
  try {
    await runEpoch(folder);
    await rm(folder, { recursive: true, force: true });
  } catch (thrown) {
    done += 1;
    faults.push(`round ${done}: ${thrown}; kept: ${folder}`);
    process.stdout.write(`\n${faults.at(-1)}\n`);
  }
}
const seconds = Math.round((Date.now() - startedAt) / 1000);
const summary = { seed: values.seed, seconds, rounds: done, commits, kills, counts, faults };
process.stdout.write(`\n${JSON.stringify(summary, null, 2)}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
