import { liveRows } from "./migrate/live-rows.ts";
import { copyRows, loadRows, type Migration, verifyRows } from "./migrate/load-rows.ts";
import { makeMixed, makeNarrow, makeWide, type SourceDatabase } from "./migrate/sources.ts";
import { Target } from "./migrate/target.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** Migration: 5 M narrow rows, 1 M wide ones, and a mixed schema (small: a twentieth of each). */
export async function* benchMigrate(request: BenchRequest): AsyncGenerator<Row[]> {
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
  // One after the other: each wants the machine for itself.
  yield await copyRows(narrow, request);
  yield await loadRows(narrow, request, { atLeast: 2 });
  yield await verifyRows(narrow, request);
  yield await loadRows(wide, request, { atLeast: 4 });
  yield await loadRows(mixed, request);
  yield await liveRows(request, target);
}
