import { LifeboatError } from "./errors.ts";

const CODES = ["CHECKSUM_MISMATCH", "OBJECT_MISSING", "OBJECT_UNREADABLE"];

/**
 * Whether an error says that one object is at fault, and not the way to it: others may be well, so that a check goes
 * on, and a plan does without it. A storage that cannot be reached is no damage.
 * @param formats codes of what else is damage there: content that is not of the form that it should have
 */
export function isObjectDamage(
  thrown: unknown,
  ...formats: readonly string[]
): thrown is LifeboatError {
  return (
    thrown instanceof LifeboatError &&
    (CODES.includes(thrown.code) || formats.includes(thrown.code))
  );
}
