/**
 * What kind of failure this is, for whoever must decide what to do next. The CLI turns each kind
 * into one exit status (the contract's table), in one place.
 *
 * - `failed`: the operation was tried and did not succeed, or a check found something wrong (1)
 * - `usage`: wrong usage or configuration; nothing was touched (2)
 * - `refused`: what is there would be overwritten or lost; nothing was touched (3)
 * - `locked`: another run holds the lock; nothing was touched (4)
 * - `not-found`: no such backup, target outside every window, no such segment (5)
 */
export type FailureKind = "failed" | "usage" | "refused" | "locked" | "not-found";

export interface LifeboatErrorInit {
  /** A stable upper-case word, such as `TARGET_NOT_EMPTY`. Scripts match on it. */
  readonly code: string;
  /** `failed` when left out. */
  readonly kind?: FailureKind;
  /** What happened to which object: lower case, no full stop, no secret. */
  readonly message: string;
  /** What to do next, as a sentence or a ready command. */
  readonly remedy: string;
  /** Further facts for scripts. Never a secret, never a row of data. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The one error that Lifeboat's packages throw on purpose. Anything else that surfaces is a defect
 * and is shown as such.
 */
export class LifeboatError extends Error {
  override readonly name = "LifeboatError";
  readonly code: string;
  readonly kind: FailureKind;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(init: LifeboatErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.kind = init.kind ?? "failed";
    this.remedy = init.remedy;
    this.details = init.details ?? {};
  }
}

/** The text of any thrown value, for use inside a message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Whether a thrown value is a system error with this code (`ENOENT`, `EEXIST` …). */
export function isSystemError(thrown: unknown, code: string): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === code;
}

/** What the contract names but this version does not do yet: refused, never accepted and ignored. */
export function notAvailable(what: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_AVAILABLE",
    kind: "usage",
    message: `${what} is not available in this version`,
    remedy: "leave it out; nothing was touched",
  });
}
