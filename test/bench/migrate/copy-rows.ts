import { rm } from "node:fs/promises";
import { execa } from "execa";
import { inTurn, measure } from "../measure.ts";
import { comparedRow, type Target as Goal, missingRow, type Row } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { LoadDocument, Migration } from "./migration.ts";
import { copySeconds, pgLoaderCommand } from "./pgloader.ts";

/** The COPY of one table: against `\copy` from a ready-made file, and against pgloader's own time for it. */
export async function copyRows(
  migration: Migration,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  const { source, target, command } = migration;
  const [table = ""] = Object.keys(source.tables);
  const file = workplace.at(`${table}.csv`);
  await execa("bash", ["-c", `sqlite3 -csv ${source.path} 'SELECT * FROM ${table}' > ${file}`]);
  const pgLoader = await pgLoaderCommand(workplace, source, target);
  const definition = workplace.at("table.sql");
  await migration.anew();
  await measure({ name: "migrate load", command: `${command.line} migrate load --quiet` });
  await execa("bash", [
    "-c",
    `pg_dump --section=pre-data --table=public.${table} ${target.url} | grep -v '^SELECT pg_catalog.set_config' > ${definition}`,
  ]);
  const before = () => migration.anew();
  // In the transaction that makes the table, so that it may be frozen, as ours is.
  const lines = `printf 'begin;\\n\\\\i ${definition}\\n\\\\copy public.${table} from ${file} with (format csv, freeze)\\ncommit;\\n'`;
  const [live, quiet, plain, theirs] = await inTurn(
    [
      { name: "migrate load", command: `${command.line} migrate load --json`, before },
      {
        name: "migrate load --offline",
        command: `${command.line} migrate load --offline --json`,
        before,
      },
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
  const copied = ({ stdout }: { stdout: string }) =>
    (JSON.parse(stdout) as LoadDocument).tables.find(({ name }) => name === table)?.seconds ?? 0;
  const row = (how: string, ours: number[], peer: string, theirs: number[], goal?: Goal) =>
    comparedRow({
      what: `${source.name}: COPY of ${table}, ${how}`,
      ours,
      peer,
      theirs,
      unit: "s",
      inverse: goal?.atLeast !== undefined,
      ...(goal ? { target: goal } : {}),
    });
  const csv = ["`\\copy` from a ready-made CSV", plain.map(({ seconds }) => seconds)] as const;
  const rows = [
    row("live", live.map(copied), ...csv, { atMost: 1.3 }),
    row("`--offline`", quiet.map(copied), ...csv),
  ];
  if (!pgLoader) return rows;
  const theirCopy = theirs.map(({ stdout }) => copySeconds(stdout));
  if (theirCopy.some(Number.isNaN))
    return [...rows, missingRow("pgloader's own COPY time", "its summary could not be read")];
  return [
    ...rows,
    row("live, how many times faster", live.map(copied), "pgloader's own COPY time", theirCopy, {
      atLeast: 5,
    }),
  ];
}
