import showFetchedPostgres from "../support/fetched-postgres.ts";
import { backUpACrowd } from "../support/postgres-crowd-run.ts";
import { askedToStop, endSoak } from "./asked-to-stop.ts";

/** `npm run soak:postgres-crowd [SEED] [ROUNDS] [MAJOR]`: backups in the midst of a crowd; exit status 1 when a copy is not the original. */
const seed = Number(process.argv[2] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.argv[3] ?? 20);
const major = process.argv[4] === undefined ? undefined : Number(process.argv[4]);

const removeCopies = await showFetchedPostgres();
process.stdout.write(`seed ${seed}, ${rounds} rounds\n`);
const report = await backUpACrowd({
  ...{ seed, rounds, major },
  say: (line) => void process.stdout.write(`\r${line}`),
  signal: askedToStop(),
}).finally(removeCopies);
process.stdout.write(`\n${JSON.stringify(report, null, 2)}\n`);
await endSoak(report.faults);
