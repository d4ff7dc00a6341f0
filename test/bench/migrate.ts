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
  const { workplace, small, parts } = request;
  const target = await Target.start(workplace);
  const scale = small ? 20 : 1;
  // All are made before anything is measured, and the first has long been brought to the disk by then.
  const made = async (part: string, make: () => SourceDatabase) =>
    parts.wants(part) ? Migration.of(make(), target, workplace) : undefined;
  const narrow = await made("narrow", () => makeNarrow(workplace.at("narrow.db"), 5e6 / scale));
  const wide = await made("wide", () => makeWide(workplace.at("wide.db"), 1e6 / scale));
  const mixed = await made("mixed", () => makeMixed(workplace.at("mixed.db"), 1e5 / scale));
  const long = await made("long", () => makeLong(workplace.at("long.db"), small ? 10 : 60));
  // One after the other: each wants the machine for itself.
  if (narrow) {
    yield await copyRows(narrow, request);
    yield await loadRows(narrow, request, { atLeast: 2 });
    yield await verifyRows(narrow, request);
  }
  if (wide) yield await loadRows(wide, request, { atLeast: 4 });
  if (mixed) yield await loadRows(mixed, request);
  if (long) yield await longValueRows(long, request);
  if (parts.wants("capture")) yield await captureRows(request, target);
  if (parts.wants("cutover")) yield await cutoverRows(request, target);
}
