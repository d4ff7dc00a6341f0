import { LifeboatError } from "@lifeboat/core";
import { codecNames } from "./codec/registry.ts";
import type { Choices } from "./finding.ts";

/**
 * Before the database is read: a wrong name would come out only at the column that it was meant for.
 * @throws LifeboatError `CHOICE_UNKNOWN` (usage) naming the key and what may stand there
 */
export function assertCodecsKnown(choices: Choices): void {
  for (const [key, { codec }] of Object.entries(choices))
    if (codec !== undefined && !codecNames().includes(codec))
      throw unknownChoice(
        `migrate.columns[${JSON.stringify(key)}].codec`,
        `is none of ${codecNames().join(", ")}`,
      );
}

/** A choice for what is not there is a slip of the pen that would otherwise pass unseen. */
export function assertChoicesUsed(
  choices: Choices,
  known: ReadonlySet<string>,
  leftOut: readonly string[],
): void {
  for (const key of Object.keys(choices))
    if (!known.has(key) && !leftOut.some((table) => key.startsWith(`${table}.`)))
      throw unknownChoice(
        `migrate.columns[${JSON.stringify(key)}]`,
        "names no table, column or finding of this database",
      );
}

function unknownChoice(path: string, fault: string): LifeboatError {
  return new LifeboatError({
    code: "CHOICE_UNKNOWN",
    kind: "usage",
    message: `${path} ${fault}`,
    remedy: "see the choices of each finding in `lifeboat migrate plan --json`",
    details: { path },
  });
}
