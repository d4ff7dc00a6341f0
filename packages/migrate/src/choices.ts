import { LifeboatError } from "@lifeboat/core";
import { codecNames } from "./codec/registry.ts";
import type { Choice, Choices } from "./finding.ts";

const ALLOWED: Readonly<Record<keyof Choice, readonly unknown[] | null>> = {
  type: null,
  codec: null,
  constraint: ["skip", "not-valid"],
  generated: ["plain", "skip"],
  nullable: [true],
  table: ["skip"],
};

/**
 * Reads `migrate.columns` of a configuration.
 * @throws LifeboatError `CHOICE_UNKNOWN` (usage) naming the key and what may stand there
 */
export function readChoices(value: unknown): Choices {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw unknownChoice("migrate.columns", "is not an object");
  for (const [key, choice] of Object.entries(value)) {
    const path = `migrate.columns[${JSON.stringify(key)}]`;
    if (!isRecord(choice)) throw unknownChoice(path, "is not an object");
    for (const [part, wanted] of Object.entries(choice)) assertPart(path, part, wanted);
  }
  return value as Choices;
}

function assertPart(path: string, part: string, wanted: unknown): void {
  const allowed = ALLOWED[part as keyof Choice];
  if (allowed === undefined)
    throw unknownChoice(`${path}.${part}`, `is none of ${Object.keys(ALLOWED).join(", ")}`);
  if (allowed !== null && !allowed.includes(wanted))
    throw unknownChoice(`${path}.${part}`, `is none of ${allowed.join(", ")}`);
  if (allowed === null && typeof wanted !== "string")
    throw unknownChoice(`${path}.${part}`, "is not a string");
  if (part === "codec" && !codecNames().includes(String(wanted)))
    throw unknownChoice(`${path}.codec`, `is none of ${codecNames().join(", ")}`);
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
