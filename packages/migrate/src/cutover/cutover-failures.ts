import { LifeboatError, reasonOf } from "@lifeboat/core";
import type { BrokenForeignKey } from "../forward/foreign-keys.ts";
import type { Refusal } from "../freeze.ts";

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

/** @param refusal how SQLite refuses the product's writes now; null where it takes them */
export function halfDone(cause: unknown, failure: unknown, refusal: Refusal | null): LifeboatError {
  return new LifeboatError({
    code: "CUTOVER_HALF_DONE",
    message: `the cutover failed (${reasonOf(cause)}), and taking it back in Postgres failed too (${reasonOf(failure)}). ${sqliteInWords(refusal)}; nothing is lost`,
    remedy: `run lifeboat migrate cutover again${refusal === null ? ", or lifeboat migrate abort," : ""} as soon as both databases can be reached: until then no migrate sync follows`,
    cause,
  });
}

function sqliteInWords(refusal: Refusal | null): string {
  if (refusal === null || refusal.isOver) return "SQLite takes the product's writes";
  return refusal.until === null
    ? "The product may have written to Postgres, so SQLite refuses its writes until then"
    : `SQLite takes the product's writes again by itself at ${new Date(refusal.until).toISOString()}`;
}

/** Stopped before anything but the journal was touched. */
export function claimLeft(cause: unknown, failure: unknown): LifeboatError {
  return new LifeboatError({
    code: "CUTOVER_HALF_DONE",
    message: `the cutover ended before it had begun (${reasonOf(cause)}), and Postgres could not be told (${reasonOf(failure)}): its journal may say cutting-over. SQLite was not touched`,
    remedy:
      "run lifeboat migrate cutover again, or lifeboat migrate abort, as soon as Postgres can be reached: until then no migrate sync follows",
    cause,
  });
}

/** Broken off behind the point of no return. */
export function unfinished(cause: unknown, stage: "switching" | "switched"): LifeboatError {
  const what =
    stage === "switching"
      ? "whether its journal knows that can't be told, so the product's switch may be called once more"
      : "what is left is the journal's end and the capture in SQLite";
  return new LifeboatError({
    code: "CUTOVER_UNFINISHED",
    message: `the product was switched to Postgres, which then answered no more (${reasonOf(cause)}): ${what}. SQLite refuses writes; nothing is lost`,
    remedy:
      "run lifeboat migrate cutover again as soon as Postgres can be reached: it ends what is left",
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
