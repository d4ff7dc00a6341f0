import { captureRows } from "./migrate/capture-rows.ts";
import { copyRows } from "./migrate/copy-rows.ts";
import { cutoverRows } from "./migrate/cutover-rows.ts";
import { loadRows, longValueRows, verifyRows } from "./migrate/load-rows.ts";
import { Migration } from "./migrate/migration.ts";
import {
  makeLong,
  makeMixed,
  makeNarrow,
  makeWide,
  type SourceDatabase,
} from "./migrate/sources.ts";
import { Target } from "./migrate/target.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** Migration: 5 M narrow rows, 1 M wide ones, a mixed schema, very long values, and a product that writes meanwhile (small: a twentieth of each). */
export async function* benchMigrate(request: BenchRequest): AsyncGenerator<Row[]> {
  const { workplace, small } = request;
  const target = await Target.start(workplace);
  const scale = small ? 20 : 1;
  const of = (source: SourceDatabase) => Migration.of(source, target, workplace);
  const narrow = await of(makeNarrow(workplace.at("narrow.db"), 5_000_000 / scale));
  const wide = await of(makeWide(workplace.at("wide.db"), 1_000_000 / scale));
  const mixed = await of(makeMixed(workplace.at("mixed.db"), 100_000 / scale));
  const long = await of(makeLong(workplace.at("long.db"), small ? 10 : 60));
  // One after the other: each wants the machine for itself.
  yield await copyRows(narrow, request);
  yield await loadRows(narrow, request, { atLeast: 2 });
  yield await verifyRows(narrow, request);
  yield await loadRows(wide, request, { atLeast: 4 });
  yield await loadRows(mixed, request);
  yield await longValueRows(long, request);
  yield await captureRows(request, target);
  yield await cutoverRows(request, target);
}
