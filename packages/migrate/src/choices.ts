import { LifeboatError } from "@lifeboat/core";
import { codecNames } from "./codec/registry.ts";
import type { Choice, Choices } from "./finding.ts";

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

/**
 * A choice for what is not there, or of a part that means nothing there, is a slip of the pen that would otherwise pass unseen.
 * @param known the keys under which an answer means something, each with the parts of it that do
 * @throws LifeboatError `CHOICE_UNKNOWN` (usage)
 */
export function assertChoicesUsed(
  choices: Choices,
  known: ReadonlyMap<string, ReadonlySet<keyof Choice>>,
  leftOut: readonly string[],
): void {
  for (const [key, choice] of Object.entries(choices)) {
    if (leftOut.some((table) => key.startsWith(`${table}.`))) continue;
    const place = `migrate.columns[${JSON.stringify(key)}]`;
    const parts = known.get(key);
    if (!parts) throw unknownChoice(place, "names no table, column or finding of this database");
    for (const part of Object.keys(choice) as (keyof Choice)[])
      if (!parts.has(part))
        throw unknownChoice(
          `${place}.${part}`,
          `means nothing there: it takes ${[...parts].toSorted().join(", ")}`,
        );
  }
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
