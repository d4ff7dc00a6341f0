import { parseArgs } from "node:util";
import { killMigrations } from "../migration/kill-run.ts";
import { startCluster } from "../support/postgres.ts";
import { askedToStop, endSoak } from "./asked-to-stop.ts";
import { crowdOf } from "./migrate-crowd.ts";

/**
 * `npm run soak:migrate -- --seed N --rounds N`: a product of two processes, and a crowd beside them that writes all that a product may, moved to Postgres and back under hundreds of kills; exit
 * status 1 when a write was lost or is there twice, or anything is left. Ctrl-C ends it with what was proved by then. Every other round's role may pass over foreign keys.
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rounds: { type: "string", default: "50" },
  },
});
const seed = Number(values.seed);
const rounds = Number(values.rounds);
process.stdout.write(`seed ${seed}, ${rounds} rounds\n`);
const say = (line: string) => void process.stdout.write(`${line}\n`);
const asked = askedToStop();
const cluster = await startCluster();
const faults: string[] = [];
try {
  for (const [part, grant] of ["REVOKE SET ON", "GRANT SET ON"].entries()) {
    const who = grant.startsWith("GRANT") ? "TO" : "FROM";
    await cluster.query(`${grant} PARAMETER session_replication_role ${who} lifeboat`);
    const share = part === 0 ? Math.ceil(rounds / 2) : Math.floor(rounds / 2);
    const report = await killMigrations({
      cluster,
      seed: seed + part,
      rounds: share,
      killsAVerb: 3,
      beside: (round) => crowdOf(2, seed + part + round),
      say,
      signal: asked,
    });
    say(JSON.stringify(report, null, 2));
    faults.push(...report.faults);
    if (asked.aborted) break;
  }
} finally {
  await cluster.stop();
}
await endSoak(faults);
