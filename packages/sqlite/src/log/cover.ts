import type { LogName } from "./name.ts";

/** What leads from a place in a lineage to a target. */
export interface Cover<T> {
  /** In order, each to be applied whole. Spans may overlap: what was applied before is applied again. */
  readonly whole: readonly T[];
  /** The one that the target lies in: the start of it is applied. */
  readonly cut: T | undefined;
  /** The number of the first segment that is not part of it. */
  readonly next: number;
}

/**
 * Chooses the fewest objects of one lineage that lead from segment `from` up to a target: merged ones
 * where they end before it, else what they were merged from.
 * @param objects by `first`, ascending
 * @param reaches whether an object whose last commit is of this instant lies before the target
 */
export function coverOf<T extends LogName>(
  objects: readonly T[],
  from: number,
  reaches: (instant: number) => boolean,
): Cover<T> {
  const whole: T[] = [];
  let next = from;
  let best: T | undefined;
  let index = 0;
  for (;;) {
    for (; index < objects.length && (objects[index] as T).first <= next; index++) {
      const object = objects[index] as T;
      if (reaches(object.instant) && (!best || object.last > best.last)) best = object;
    }
    if (!best || best.last < next) break;
    whole.push(best);
    next = best.last + 1;
  }
  const cuts = objects.filter(
    ({ kind, first, last, instant }) =>
      kind === "frames" && first <= next && next <= last && !reaches(instant),
  );
  const cut = cuts.reduce<T | undefined>((a, b) => (a && a.last <= b.last ? a : b), undefined);
  return { whole, cut, next };
}

/** Whether a lineage goes on behind a place without the segment that belongs there. */
export function hasHoleAt(objects: readonly LogName[], next: number): boolean {
  return objects.some(({ last }) => last >= next);
}
