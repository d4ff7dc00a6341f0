import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";

/** Where a recovery ends. */
export type RecoveryTarget =
  | { readonly kind: "latest" }
  | { readonly kind: "backup"; readonly id: string }
  | {
      readonly kind: "time";
      readonly at: Date;
      /** Microseconds past `at`, up to 999, which a `Date` cannot hold and Postgres' commits have. None when left out. */
      readonly micros?: number;
      readonly exclusive: boolean;
    }
  | { readonly kind: "lsn"; readonly lsn: string; readonly exclusive: boolean }
  | { readonly kind: "xid"; readonly xid: string; readonly exclusive: boolean }
  | { readonly kind: "restore-point"; readonly name: string }
  | { readonly kind: "immediate" };

/** A span in which every instant can be restored. `from` and `to` are ISO 8601 UTC with milliseconds. */
export interface RecoveryWindow {
  readonly engine: EngineKind;
  readonly database: string;
  /** Postgres' timeline; null for SQLite. */
  readonly timeline: number | null;
  readonly from: string;
  readonly to: string;
}

/** Whether an instant lies in a window, its bounds included. */
export function windowHolds(window: RecoveryWindow, at: Date): boolean {
  return Date.parse(window.from) <= at.getTime() && at.getTime() <= Date.parse(window.to);
}

/** So many are read at a glance; `list` shows all. */
const SHOWN_WINDOWS = 3;

/**
 * The refusal of an instant that lies in no window: says what was asked, in UTC, and what can be had.
 */
export function outsideEveryWindow(at: Date, windows: readonly RecoveryWindow[]): LifeboatError {
  const near = windows.toSorted((a, b) => distance(a, at) - distance(b, at));
  const spans = near
    .slice(0, SHOWN_WINDOWS)
    .toSorted((a, b) => (a.from < b.from ? -1 : 1))
    .map((w) => (w.from === w.to ? w.from : `${w.from} … ${w.to}`));
  const nearest = windows.length > SHOWN_WINDOWS ? " (the nearest ones)" : "";
  return new LifeboatError({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    message: `${at.toISOString()} lies in no recovery window${reachOf(windows)}`,
    remedy:
      spans.length === 0
        ? "no backup leads to any instant there: see lifeboat list, or take one with lifeboat backup"
        : `choose an instant in ${spans.join(", ")}${nearest}, or a backup by --backup ID (lifeboat list); without a target the newest state is restored`,
    details: { at: at.toISOString(), windows },
  });
}

/** Where windows begin and end, in brackets; nothing where there are none. Between several there are gaps. */
function reachOf(windows: readonly RecoveryWindow[]): string {
  const [only, ...more] = windows;
  if (!only) return "";
  if (more.length === 0)
    return only.from === only.to
      ? ` (there is ${only.from} alone)`
      : ` (it reaches from ${only.from} to ${only.to})`;
  const from = windows.map((window) => window.from).sort()[0];
  const to = windows.map((window) => window.to).sort();
  return ` (the oldest begins at ${from}, the newest ends at ${to.at(-1)})`;
}

/** Milliseconds from an instant to the nearer end of a window that does not hold it. */
function distance({ from, to }: RecoveryWindow, at: Date): number {
  const instant = at.getTime();
  return Math.min(Math.abs(Date.parse(from) - instant), Math.abs(Date.parse(to) - instant));
}

/**
 * Reads an instant: ISO 8601 with a zone (`Z` or an offset). Without a zone it is refused, since
 * guessing one has cost others their recoveries.
 * @throws LifeboatError `TIME_INVALID` (kind `usage`)
 */
export function parseInstant(text: string): Date {
  const shape =
    /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|z|[+-]\d{2}(:?\d{2})?)$/;
  const at = shape.test(text) ? new Date(normalized(text)) : new Date(Number.NaN);
  if (!Number.isNaN(at.getTime()) && sameDay(text, at)) return at;
  throw new LifeboatError({
    code: "TIME_INVALID",
    kind: "usage",
    message: `"${text}" is not an instant`,
    remedy:
      "write it as 2026-11-22T10:15:00.123Z or with an offset such as +01:00; a zone is needed",
  });
}

/** The microseconds of an instant behind its millisecond: 0 to 999, and what is finer is cut off. */
export function microsecondsOf(text: string): number {
  const [, fraction = ""] = /[.,]\d{3}(\d{1,3})/.exec(text) ?? [];
  return Number(fraction.padEnd(3, "0"));
}

function normalized(text: string): string {
  return text
    .replace(" ", "T")
    .replace(/\s/, "")
    .replace(",", ".")
    .replace("z", "Z")
    .replace(/([+-]\d{2})(\d{2})?$/, (_, hours, minutes) => `${hours}:${minutes ?? "00"}`);
}

/** `Date` accepts 30 February and means 1 March; an engineer who mistyped a date should hear of it. */
function sameDay(text: string, at: Date): boolean {
  const zone = /([+-])(\d{2}):?(\d{2})?$/.exec(text.slice(16));
  const minutes = zone
    ? (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0))
    : 0;
  const local = new Date(at.getTime() + minutes * 60_000).toISOString();
  return local.slice(0, 10) === text.slice(0, 10);
}
