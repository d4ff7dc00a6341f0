import { killAtRandom } from "../support/postgres-kills.ts";
import { askedToStop, endSoak } from "./asked-to-stop.ts";

/** `npm run soak:postgres [SEED] [KILLS]`: hundreds of kills; exit status 1 when a commit was lost or anything is left. */
const seed = Number(process.argv[2] ?? Math.floor(Math.random() * 2 ** 31));
const kills = Number(process.argv[3] ?? 300);

process.stdout.write(`seed ${seed}, ${kills} kills\n`);
const report = await killAtRandom({
  seed,
  kills,
  say: (line) => void process.stdout.write(`\r${line}`),
  signal: askedToStop(),
});
process.stdout.write(`\n${JSON.stringify(report, null, 2)}\n`);
await endSoak(report.faults);
