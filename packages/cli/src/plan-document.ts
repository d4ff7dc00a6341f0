import { DRIZZLE_HEADER, type ReviewedPlan } from "@lifeboat/migrate";
import type { WrittenDocument } from "./write-document.ts";

/** Only for its owner: it holds a few keys of rows. */
const PRIVATE = 0o600;
const SOURCE = 0o644;

export function planDocument(plan: ReviewedPlan): WrittenDocument {
  return {
    what: "plan of a migration",
    text: `${JSON.stringify(plan, null, 2)}\n`,
    mode: PRIVATE,
    isEarlier: (text) => phaseOf(text) === "plan",
  };
}

export function drizzleDocument(text: string): WrittenDocument {
  return {
    what: "schema that lifeboat migrate plan --emit drizzle has written",
    text,
    mode: SOURCE,
    isEarlier: (there) => there.startsWith(DRIZZLE_HEADER),
  };
}

function phaseOf(text: string): unknown {
  try {
    return JSON.parse(text)?.phase;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}
