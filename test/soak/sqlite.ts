import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import keepCompiled from "../support/compile-cache.ts";
import { orStopped } from "../support/or-stopped.ts";
import { randomFrom } from "../support/random-from.ts";
import { askedToStop, endSoak } from "./asked-to-stop.ts";
import { oneOf } from "./one-of.ts";
import { Epoch, stop } from "./sqlite-epoch.ts";

/**
 * `npm run soak:sqlite -- --seed N --rounds 2000 [--minutes M] [--at-once 3]`: kills of a writer with a ledger, of a watch and of
 * backups, at random instants in any order, amid a crowd of other processes that are at work on the same database. After each round the latest state and a random instant are restored: each must
 * be a whole prefix of the ledger, with all that it promises and never a row from after its instant. Every 100 rounds a new
 * database with pages of another size begins, so that a round costs the same at the end as at the start. Several products
 * go through this at once, each with a database, a repository and a random sequence of its own: most of a round is
 * waiting for processes to start. Exits 1 when one is wrong, and keeps what was. Ctrl-C ends it with what was proved by then.
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rounds: { type: "string", default: "500" },
    minutes: { type: "string", default: "1440" },
    epoch: { type: "string", default: "100" },
    rate: { type: "string", default: "300" },
    "at-once": { type: "string", default: "1" },
  },
});
keepCompiled();
const rounds = Number(values.rounds);
const asked = askedToStop();
const isOver = () => asked.aborted || Date.now() - startedAt > Number(values.minutes) * 60_000;

const faults: string[] = [];
const counts: Record<string, number> = {};
const kills: Record<string, number> = {};
let [begun, done, commits] = [0, 0, 0];

const count = (into: Record<string, number>, name: string, more = 1) => {
  into[name] = (into[name] ?? 0) + more;
};

async function runEpoch(folder: string, random: () => number): Promise<void> {
  const pageSize = oneOf(random, [512, 1024, 4096, 4096, 65536]);
  process.stdout.write(`\nround ${done}: pages of ${pageSize} bytes\n`);
  const own = new Set<ChildProcess>();
  const epoch = await Epoch.begin({ folder, rate: values.rate, pageSize, random, started: own });
  try {
    for (let round = 0; round < Number(values.epoch) && begun < rounds && !isOver(); round++) {
      begun += 1;
      const what = await orStopped(epoch.round(), asked);
      if (what === "stopped") return;
      count(counts, what);
      done += 1;
      process.stdout.write(`\r${done} of ${rounds}, ${faults.length} wrong`);
    }
    const problems = await orStopped(epoch.end(), asked);
    if (problems !== "stopped" && problems.length > 0) throw new Error(JSON.stringify(problems));
  } finally {
    commits += epoch.commits;
    for (const [what, times] of Object.entries(epoch.kills)) count(kills, what, times);
    for (const child of own) await stop(child, "SIGKILL");
  }
}

const inUse = new Set<string>();
process.on("exit", () => {
  for (const folder of inUse) rmSync(folder, { recursive: true, force: true });
});

async function runEpochs(random: () => number): Promise<void> {
  while (begun < rounds && !isOver() && faults.length < 5) {
    const folder = await mkdtemp(join(tmpdir(), "lifeboat-soak-"));
    inUse.add(folder);
    try {
      await runEpoch(folder, random);
      // What was under way may still write there.
      if (asked.aborted) return;
      await rm(folder, { recursive: true, force: true });
      inUse.delete(folder);
    } catch (thrown) {
      inUse.delete(folder);
      faults.push(`after ${done} rounds: ${thrown}; kept: ${folder}`);
      process.stdout.write(`\n${faults.at(-1)}\n`);
    }
  }
}

const startedAt = Date.now();
process.stdout.write(`seed ${values.seed}, ${rounds} rounds, ${values["at-once"]} at once\n`);
await Promise.all(
  Array.from({ length: Number(values["at-once"]) }, (_, product) =>
    runEpochs(randomFrom(Number(values.seed) + product)),
  ),
);
const seconds = Math.round((Date.now() - startedAt) / 1000);
const summary = { seed: values.seed, seconds, rounds: done, commits, kills, counts, faults };
process.stdout.write(`\n${JSON.stringify(summary, null, 2)}\n`);
await endSoak(faults);
