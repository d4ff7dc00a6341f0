import { writeFile } from "node:fs/promises";
import { execa } from "execa";
import type { Workplace } from "../workplace.ts";
import type { SourceDatabase } from "./sources.ts";
import type { Target } from "./target.ts";

/** pgloader's whole run over one database, as words for a shell; undefined where it is not installed. */
export async function pgLoaderCommand(
  workplace: Workplace,
  source: SourceDatabase,
  target: Target,
): Promise<string | undefined> {
  if ((await execa("pgloader", ["--version"], { reject: false })).failed) {
    const said = "pgloader: `apt-get install pgloader`";
    if (!workplace.leftOut.includes(said)) workplace.leftOut.push(said);
    return undefined;
  }
  const script = workplace.at(`${source.name}.load`);
  await writeFile(
    script,
    `LOAD DATABASE FROM sqlite://${source.path} INTO ${target.pgLoaderUrl}
WITH include drop, create tables, create indexes, reset sequences, foreign keys,
     prefetch rows = 1000, batch rows = 1000
SET work_mem to '64MB', maintenance_work_mem to '512MB';
`,
  );
  // It ends with 0 whatever it lost on the way: then there is nothing to be measured.
  const checks = Object.entries(source.tables).map(
    ([table, rows]) =>
      `test "$(psql -Atc 'select count(*) from ${table}' ${target.url})" = ${rows}`,
  );
  return [`pgloader ${script}`, ...checks].join(" && ");
}

/** The seconds of its COPY alone, from its own summary; it prints none when it failed. */
export function copySeconds(summary: string): number {
  const text = /COPY Threads Completion\D+\d+\D+\d+\s+(?:[\d.]+ \w+\s+)?([\d.hms]+)/.exec(
    summary,
  )?.[1];
  const [, hours, minutes, seconds] = /^(?:(\d+)h)?(?:(\d+)m)?([\d.]+)s$/.exec(text ?? "") ?? [];
  return Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? Number.NaN);
}
