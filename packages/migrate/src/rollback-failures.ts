import { LifeboatError, reasonOf } from "@lifeboat/core";
import { detailsOf } from "./cutover/cutover-failures.ts";

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

export function halfDone(cause: unknown, failure: unknown): LifeboatError {
  return new LifeboatError({
    code: "ROLLBACK_HALF_DONE",
    message: `the rollback failed (${reasonOf(cause)}), and Postgres could not be told to take writes again (${reasonOf(failure)})`,
    remedy:
      "run lifeboat migrate rollback again as soon as Postgres can be reached: until then both sides may refuse writes; nothing is lost",
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
