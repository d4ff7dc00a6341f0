import { rm } from "node:fs/promises";
import { execa } from "execa";
import { inTurn, type Measured, measure } from "../measure.ts";
import { comparedRow, type Target as Goal, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest, Command } from "../workplace.ts";
import { copySeconds, pgLoaderCommand } from "./pgloader.ts";
import type { SourceDatabase } from "./sources.ts";
import type { Target } from "./target.ts";

interface LoadDocument {
  readonly rows: number;
  readonly bytes: number;
  readonly tables: readonly { name: string; rows: number; seconds: number }[];
}

/** Where a database is migrated to, and by what. */
export interface Migration {
  readonly source: SourceDatabase;
  readonly target: Target;
  readonly command: Command;
}

/** A whole load of one database against pgloader's whole run. */
export async function loadRows(
  { source, target, command }: Migration,
  { workplace, runs }: BenchRequest,
  goal?: Goal,
): Promise<Row[]> {
  const pgLoader = await pgLoaderCommand(workplace, source, target);
  const before = () => target.anew();
  const [ours, theirs] = await inTurn(
    [
      { name: "migrate load", command: `${command.line} migrate load --json`, before },
      { name: "pgloader", command: pgLoader ?? "true", before },
    ],
    runs,
  );
  const documents = ours.map(({ stdout }) => JSON.parse(stdout) as LoadDocument);
  const what = `${source.name}: whole load`;
  const rows = [
    valueRow({
      what: `${what}, compared`,
      values: documents.map((each, run) => each.rows / 1000 / (ours[run]?.seconds ?? 0)),
      unit: "k rows/s",
      against: `${(Math.min(...documents.map(({ bytes }) => bytes)) / 1e6).toFixed(0)} MB of COPY data`,
    }),
    valueRow({
      what: `${what}, peak memory`,
      values: ours.map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
  return pgLoader ? [...rows, ...againstPgLoader({ what, ours, theirs, goal })] : rows;
}

function againstPgLoader(init: {
  what: string;
  ours: Measured[];
  theirs: Measured[];
  goal: Goal | undefined;
}): Row[] {
  const { what, ours, theirs, goal } = init;
  return [
    comparedRow({
      what: `${what}, how many times faster`,
      ours: ours.map(({ seconds }) => seconds),
      peer: "pgloader's whole run, compared by nobody",
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
  ];
}

/** The COPY of one table: against `\copy` from a ready-made file, and against pgloader's own time for it. */
export async function copyRows(
  { source, target, command }: Migration,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  const [table = ""] = Object.keys(source.tables);
  const file = workplace.at(`${table}.csv`);
  await execa("bash", ["-c", `sqlite3 -csv ${source.path} 'SELECT * FROM ${table}' > ${file}`]);
  const pgLoader = await pgLoaderCommand(workplace, source, target);
  const definition = workplace.at("table.sql");
  await target.anew();
  await measure({ name: "migrate load", command: `${command.line} migrate load --quiet` });
  await execa("bash", [
    "-c",
    `pg_dump --section=pre-data --table=public.${table} ${target.url} | grep -v '^SELECT pg_catalog.set_config' > ${definition}`,
  ]);
  const before = () => target.anew();
  // In the transaction that makes the table, so that it may be frozen, as ours is.
  const lines = `printf 'begin;\\n\\\\i ${definition}\\n\\\\copy public.${table} from ${file} with (format csv, freeze)\\ncommit;\\n'`;
  const [ours, plain, theirs] = await inTurn(
    [
      { name: "migrate load", command: `${command.line} migrate load --json`, before },
      {
        name: "\\copy",
        command: `${lines} | psql --quiet --set=ON_ERROR_STOP=1 --dbname=${target.url} >/dev/null`,
        before,
      },
      { name: "pgloader", command: pgLoader ?? "true", before },
    ],
    runs,
  );
  await rm(file);
  const copied = ours.map(
    ({ stdout }) =>
      (JSON.parse(stdout) as LoadDocument).tables.find(({ name }) => name === table)?.seconds ?? 0,
  );
  const row = (peer: string, seconds: number[], goal: Goal, inverse = false) =>
    comparedRow({
      what: `${source.name}: COPY of ${table}${inverse ? ", how many times faster" : ""}`,
      ours: copied,
      peer,
      theirs: seconds,
      unit: "s",
      target: goal,
      inverse,
    });
  const rows = [
    row(
      "`\\copy` from a ready-made CSV",
      plain.map(({ seconds }) => seconds),
      { atMost: 1.3 },
    ),
  ];
  if (!pgLoader) return rows;
  const theirCopy = theirs.map(({ stdout }) => copySeconds(stdout));
  if (theirCopy.some(Number.isNaN))
    return [...rows, missingRow("pgloader's own COPY time", "its summary could not be read")];
  return [...rows, row("pgloader's own COPY time", theirCopy, { atLeast: 5 }, true)];
}

/** Rows of both sides compared in a second. The target holds what was loaded last. */
export async function verifyRows(
  { source, target, command }: Migration,
  { runs }: BenchRequest,
): Promise<Row[]> {
  await target.anew();
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
    valueRow({
      what: `${source.name}: verify, peak memory`,
      values: ours.map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
}
