import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { LifeboatError } from "@lifeboat/core";
import type { Choices } from "./finding.ts";
import type { MigrationPlan } from "./plan.ts";

/** A plan as it is written into a file: with the choices that it was made by, and a digest of all of it. */
export interface ReviewedPlan extends MigrationPlan {
  readonly choices: Choices;
  /** SHA-256 of the rest as JSON, in hexadecimal. */
  readonly digest: string;
}

/** Makes a plan into one that `readReviewedPlan` takes back. */
export function sealPlan(plan: MigrationPlan, choices: Choices): ReviewedPlan {
  const content = { ...plan, choices };
  return { ...content, digest: digestOf(content) };
}

/**
 * Reads a plan that was written, reviewed and left as it was. Its DDL is run as it stands, so a file that was changed is no plan any more:
 * choices are made in the configuration.
 * @param file its name, for errors
 * @throws LifeboatError `PLAN_UNREADABLE`, `PLAN_CHANGED` (both usage)
 */
export function readReviewedPlan(text: string, file: string): ReviewedPlan {
  const read = parsed(text, file);
  const { digest, ...content } = read as Partial<ReviewedPlan>;
  if (content.phase !== "plan" || content.format !== 1 || typeof digest !== "string")
    throw unreadable(file, "it is no plan of this version of lifeboat");
  if (digestOf(content) === digest) return read as ReviewedPlan;
  throw new LifeboatError({
    code: "PLAN_CHANGED",
    kind: "usage",
    message: `the plan in ${file} is not the one that was written there`,
    remedy:
      "make choices in migrate.columns of the configuration, then run lifeboat migrate plan --out again",
    details: { file },
  });
}

/**
 * @throws LifeboatError `PLAN_OUTDATED` (usage): the configuration asks for something else than it did when the plan was made
 */
export function assertPlanIsWanted(
  plan: ReviewedPlan,
  wanted: { readonly schema: string; readonly choices: Choices },
): void {
  const isWanted = plan.schema === wanted.schema && isDeepStrictEqual(plan.choices, wanted.choices);
  if (isWanted) return;
  throw new LifeboatError({
    code: "PLAN_OUTDATED",
    kind: "usage",
    message: `the configuration's migrate.${plan.schema === wanted.schema ? "columns" : "schema"} was changed since the plan was made at ${plan.madeAt}`,
    remedy: "run lifeboat migrate plan --out again, review it, and load by that",
    details: { madeAt: plan.madeAt },
  });
}

function parsed(text: string, file: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw unreadable(file, "it is no JSON document");
}

function unreadable(file: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "PLAN_UNREADABLE",
    kind: "usage",
    message: `${file} can't be loaded by: ${why}`,
    remedy: "give the file that lifeboat migrate plan --out has written",
    details: { file },
  });
}

/** Of what JSON keeps: a file's numbers and order of keys are those of the document that was written. */
function digestOf(content: object): string {
  const json = JSON.stringify(JSON.parse(JSON.stringify(content)));
  return createHash("sha256").update(json).digest("hex");
}
