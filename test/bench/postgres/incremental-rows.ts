import { availableMajors, startCluster } from "../../support/postgres.ts";
import { measure } from "../measure.ts";
import { comparedRow, missingRow, type Row } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";

/** PostgreSQL's block-level incremental backup came with 17. */
const FIRST_MAJOR = 17;

/** An incremental backup after a contiguous hundredth of the rows has changed, against the full one. */
export async function incrementalRows({ workplace, runs, small }: BenchRequest): Promise<Row[]> {
  const what = "incremental backup, 1 % of the pages changed";
  const major = (await availableMajors()).findLast((each) => each >= FIRST_MAJOR);
  if (major === undefined) {
    workplace.leftOut.push(`${what}: a server of version ${FIRST_MAJOR} or newer is not here`);
    return [];
  }
  const cluster = await startCluster({
    major,
    settings: { summarize_wal: "on", fsync: "on", autovacuum: "on" },
  });
  workplace.atEnd(() => cluster.stop());
  const command = await workplace.command("incremental", {
    postgres: { url: cluster.superuserUrl },
  });
  if (!(await command.knows("backup --type incremental --wal stream")))
    return [missingRow(what, "not available")];
  const rows = small ? 1_000_000 : 10_000_000;
  await cluster.query(
    `create table accounts as select n as aid, n % 100 as bid, 0 as abalance, repeat(' ', 84) as filler
     from generate_series(1, ${rows}) n`,
  );
  // Whoever reads a row first notes on its page that it was committed, which with checksums is a change of the page.
  await cluster.query("vacuum (freeze, analyze) accounts");
  const full: Stored[] = [];
  const incremental: Stored[] = [];
  const backup = async (type: string): Promise<Stored> => {
    await cluster.query("checkpoint");
    const run = await measure({
      name: `backup --type ${type}`,
      command: `${command.line} backup --type ${type} --wal stream --json`,
    });
    return { seconds: run.seconds, ...(JSON.parse(run.stdout) as { storedBytes: number }) };
  };
  for (let run = 0; run < runs; run++) {
    full.push(await backup("full"));
    const from = Math.floor((rows / runs) * run);
    // Half a hundredth of the rows: an update changes the pages of the old version and those of the new one.
    await cluster.query(
      `update accounts set abalance = abalance + 1 where aid between ${from} and ${from + rows / 200}`,
    );
    incremental.push(await backup("incremental"));
  }
  const row = (name: string, of: (stored: Stored) => number, atMost: number, unit: string) =>
    comparedRow({
      what: `${what}, ${name} (version ${major})`,
      ours: incremental.map(of),
      peer: "the full one",
      theirs: full.map(of),
      unit,
      target: { atMost },
    });
  return [
    row("stored", ({ storedBytes }) => storedBytes / 1e6, 0.1, "MB"),
    row("wall", ({ seconds }) => seconds, 0.25, "s"),
  ];
}

interface Stored {
  readonly seconds: number;
  readonly storedBytes: number;
}
