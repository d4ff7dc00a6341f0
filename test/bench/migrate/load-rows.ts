import { inTurn, type Measured, measure } from "../measure.ts";
import { comparedRow, type Target as Goal, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { LoadDocument, Migration } from "./migration.ts";
import { pgLoaderCommand } from "./pgloader.ts";

const MEMORY: Goal = { atMost: 300, worst: true };

/** A whole load of one database, while nobody writes though somebody might, against pgloader's whole run. */
export async function loadRows(
  migration: Migration,
  { workplace, runs }: BenchRequest,
  goal?: Goal,
): Promise<Row[]> {
  const { source, target, command } = migration;
  const pgLoader = await pgLoaderCommand(workplace, source, target);
  const plan = workplace.at(`${source.name}.plan.json`);
  // SQLite counts what a capture makes and removes as changes of its schema.
  const before = async () => {
    await migration.anew();
    await command.json(`migrate plan --out ${plan}`);
  };
  const [compared, ours, theirs] = await inTurn(
    [
      { name: "migrate load", command: `${command.line} migrate load --json`, before },
      {
        // A plan was made and reviewed before, as pgloader's script was.
        name: "migrate load --plan --skip-compare",
        command: `${command.line} migrate load --plan ${plan} --skip-compare --json`,
        before,
      },
      { name: "pgloader", command: pgLoader ?? "true", before },
    ],
    runs,
  );
  const what = `${source.name}: whole load`;
  const rows = [...rateRows(`${what}, compared`, compared), memoryRow(what, compared)];
  if (!pgLoader) return rows;
  const peer = "pgloader's whole run, compared by nobody";
  return [
    ...rows,
    ...againstPgLoader({ what: `${what} by a plan, uncompared too`, peer, ours, theirs, goal }),
    comparedRow({
      what: `${what}, profiled and compared, how many times faster`,
      ours: compared.map(({ seconds }) => seconds),
      peer,
      theirs: theirs.map(({ seconds }) => seconds),
      unit: "s",
      inverse: true,
    }),
  ];
}

function rateRows(what: string, ours: readonly Measured[]): Row[] {
  const perSecond = (amount: (document: LoadDocument) => number) =>
    ours.map(({ stdout, seconds }) => amount(JSON.parse(stdout)) / seconds);
  return [
    valueRow({
      what,
      values: perSecond(({ rows }) => rows / 1000),
      unit: "k rows/s",
    }),
    valueRow({
      what: `${what}, COPY data`,
      values: perSecond(({ bytes }) => bytes / 1e6),
      unit: "MB/s",
    }),
  ];
}

function memoryRow(what: string, measured: readonly Measured[]): Row {
  return valueRow({
    what: `${what}, peak memory`,
    values: measured.map(({ peakMb }) => peakMb),
    unit: "MB",
    target: MEMORY,
  });
}

function againstPgLoader(init: {
  what: string;
  peer: string;
  ours: Measured[];
  theirs: Measured[];
  goal: Goal | undefined;
}): Row[] {
  const { what, peer, ours, theirs, goal } = init;
  return [
    comparedRow({
      what: `${what}, how many times faster`,
      ours: ours.map(({ seconds }) => seconds),
      peer,
      theirs: theirs.map(({ seconds }) => seconds),
      unit: "s",
      inverse: true,
      ...(goal ? { target: goal } : {}),
    }),
    comparedRow({
      what: `${what}, CPU of the client`,
      ours: ours.map(({ cpuSeconds }) => cpuSeconds),
      peer: "pgloader",
      theirs: theirs.map(({ cpuSeconds }) => cpuSeconds),
      unit: "s",
    }),
    comparedRow({
      what: `${what}, memory`,
      ours: ours.map(({ peakMb }) => peakMb),
      peer: "pgloader",
      theirs: theirs.map(({ peakMb }) => peakMb),
      unit: "MB",
    }),
  ];
}

/** What a database of very long values takes, to load and to compare. */
export async function longValueRows(migration: Migration, { runs }: BenchRequest): Promise<Row[]> {
  const { command, source } = migration;
  const [loads] = await inTurn(
    [
      {
        name: "migrate load",
        command: `${command.line} migrate load --json`,
        before: () => migration.anew(),
      },
    ],
    runs,
  );
  const [verified] = await inTurn(
    [{ name: "migrate verify", command: `${command.line} migrate verify --quiet` }],
    runs,
  );
  const what = `${source.name}: whole load`;
  return [
    ...rateRows(what, loads).slice(1),
    memoryRow(what, loads),
    memoryRow(`${source.name}: verify`, verified),
  ];
}

/** Rows of both sides compared in a second. */
export async function verifyRows(migration: Migration, { runs }: BenchRequest): Promise<Row[]> {
  const { source, command } = migration;
  await migration.anew();
  await measure({ name: "migrate load", command: `${command.line} migrate load --quiet` });
  const [ours] = await inTurn(
    [{ name: "migrate verify", command: `${command.line} migrate verify --quiet` }],
    runs,
  );
  const rows = Object.values(source.tables).reduce((sum, each) => sum + each, 0);
  return [
    valueRow({
      what: `${source.name}: verify`,
      values: ours.map(({ seconds }) => rows / 1000 / seconds),
      unit: "k rows/s",
      target: { atLeast: 400 },
    }),
    memoryRow(`${source.name}: verify`, ours),
  ];
}
