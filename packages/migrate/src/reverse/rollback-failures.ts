import { LifeboatError, reasonOf } from "@lifeboat/core";
import { detailsOf } from "../cutover/cutover-failures.ts";

export function switchFailed(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "SWITCH_FAILED",
    message: `SQLite takes writes again, but the product could not be switched to it: ${reasonOf(cause)}`,
    remedy:
      "switch it by hand, or set right what failed and run lifeboat migrate rollback again; Postgres refuses writes, so none is lost",
    details: detailsOf(cause),
    cause,
  });
}

export function notFollowed(left: number): LifeboatError {
  return new LifeboatError({
    code: "NOT_FOLLOWED",
    message: `${left} changes of Postgres are not in SQLite although nothing writes any more`,
    remedy: "Postgres takes writes again and nothing is lost; report this",
  });
}

/** @param isFrozen whether Postgres refuses writes for certain; else it may */
export function halfDone(cause: unknown, failure: unknown, isFrozen: boolean): LifeboatError {
  return new LifeboatError({
    code: "ROLLBACK_HALF_DONE",
    message: `the rollback failed (${reasonOf(cause)}), and Postgres could not be told to take writes again (${reasonOf(failure)}). ${isFrozen ? "Postgres refuses writes" : "Whether Postgres takes writes can't be told"}, and SQLite refuses them; nothing is lost`,
    remedy:
      "run lifeboat migrate rollback again as soon as Postgres can be reached: it ends what was begun; until then both sides may refuse writes",
    cause,
  });
}

/** Stopped before anything but the journal was touched. */
export function claimLeft(cause: unknown, failure: unknown): LifeboatError {
  return new LifeboatError({
    code: "ROLLBACK_HALF_DONE",
    message: `the rollback ended before it had begun (${reasonOf(cause)}), and Postgres could not be told (${reasonOf(failure)}): its journal may say rolling-back. The product goes on in Postgres, and SQLite was not touched`,
    remedy:
      "run lifeboat migrate rollback again as soon as Postgres can be reached: until then no migrate sync follows",
    cause,
  });
}

/** Broken off behind the point of no return. */
export function unfinished(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "ROLLBACK_UNFINISHED",
    message: `the product is back in SQLite, and Postgres, which refuses writes, answered no more (${reasonOf(cause)}): whether its journal knows can't be told; nothing is lost`,
    remedy:
      "run lifeboat migrate rollback again as soon as Postgres can be reached: it ends what is left, and may call the product's switch once more",
    cause,
  });
}

export function tooSlow(seconds: number, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "ROLLBACK_TOO_SLOW",
    message: `SQLite could not take over within ${seconds} s; Postgres takes the product's writes again`,
    remedy: "run lifeboat migrate sync --until caught-up first, or raise migrate.budget",
    cause,
  });
}
