import { liveRows } from "./migrate/live-rows.ts";
import { copyRows, loadRows, type Migration, verifyRows } from "./migrate/load-rows.ts";
import { makeMixed, makeNarrow, makeWide, type SourceDatabase } from "./migrate/sources.ts";
import { Target } from "./migrate/target.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** Migration: 5 M narrow rows, 1 M wide ones, and a mixed schema (small: a twentieth of each). */
export async function benchMigrate(request: BenchRequest): Promise<Row[]> {
  const { workplace, small } = request;
  const target = await Target.start(workplace);
  const scale = small ? 20 : 1;
  const migration = async (source: SourceDatabase): Promise<Migration> => ({
    source,
    target,
    command: await workplace.command(`migrate-${source.name}`, {
      sqlite: { path: source.path },
      postgres: { url: target.url },
    }),
  });
  const narrow = await migration(makeNarrow(workplace.at("narrow.db"), 5_000_000 / scale));
  const wide = await migration(makeWide(workplace.at("wide.db"), 1_000_000 / scale));
  const mixed = await migration(makeMixed(workplace.at("mixed.db"), 100_000 / scale));
  const rows: Row[] = [];
  // One after the other: each wants the machine for itself.
  rows.push(...(await copyRows(narrow, request)));
  rows.push(...(await loadRows(narrow, request, { atLeast: 2 })));
  rows.push(...(await verifyRows(narrow, request)));
  rows.push(...(await loadRows(wide, request, { atLeast: 4 })));
  rows.push(...(await loadRows(mixed, request)));
  rows.push(...(await liveRows(request, target)));
  return rows;
}
