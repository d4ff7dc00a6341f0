import { LifeboatError, reasonOf } from "@lifeboat/core";
import type { BrokenForeignKey } from "../forward/foreign-keys.ts";

export function orphans(broken: readonly BrokenForeignKey[]): LifeboatError {
  const list = broken.map(({ table, constraint, count }) => `${count} of ${table} (${constraint})`);
  return new LifeboatError({
    code: "FOREIGN_KEYS_BROKEN",
    message: `rows have no parent: ${list.join(", ")}; the product writes with foreign keys off`,
    remedy:
      "set the rows right in SQLite (pragma foreign_key_check names them), or answer their finding with not-valid and load anew",
    details: { broken },
  });
}

export function halfDone(cause: unknown, failure: unknown): LifeboatError {
  return new LifeboatError({
    code: "CUTOVER_HALF_DONE",
    message: `the cutover failed (${reasonOf(cause)}), and taking it back failed too (${reasonOf(failure)})`,
    remedy:
      "run lifeboat migrate cutover again as soon as both databases can be reached: until then SQLite may refuse writes; nothing is lost",
    cause,
  });
}

export function tooSlow(seconds: number, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "CUTOVER_TOO_SLOW",
    message: `the product was not in Postgres within ${seconds} s; SQLite takes its writes again, and nothing is lost`,
    remedy: "see what took so long in the steps above, or raise migrate.budget",
    cause,
  });
}

export function refusedNoMore(): LifeboatError {
  return new LifeboatError({
    code: "CUTOVER_TOO_SLOW",
    message:
      "SQLite took the product's writes again before the product was switched: the budget was over, or this machine's clock was set forward; nothing is lost",
    remedy:
      "run lifeboat migrate cutover again; see what took so long in the steps above, or raise migrate.budget",
  });
}

export function switchFailed(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "SWITCH_FAILED",
    message: `the product could not be switched to Postgres: ${reasonOf(cause)}; SQLite takes its writes again, and nothing is lost`,
    remedy: "set right what failed in migrate.onCutover, then run lifeboat migrate cutover again",
    details: detailsOf(cause),
    cause,
  });
}

/** Of the switch's own failure: what it said, perhaps. */
export function detailsOf(cause: unknown): Readonly<Record<string, unknown>> {
  return cause instanceof LifeboatError ? cause.details : {};
}
