import { LifeboatError } from "@lifeboat/core";
import { STATE_TABLE } from "./sqlite/own-objects.ts";
import type { JournalEntry } from "./target/journal.ts";

/** What is loaded is that of the target's one journal, which would go. */
export function elsewhere(schema: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_ABORTABLE",
    kind: "refused",
    message: `the migration of this target went into schema ${schema}, which is not the one of the configuration`,
    remedy: `set migrate.schema to ${schema}, then run this again`,
    details: { schema },
  });
}

/**
 * The product was cut over to a Postgres that is not this one: a SQLite that took writes again would be a second truth beside it, and
 * the way back gone.
 */
export function frozenForAnother(path: string, owner: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_ABORTABLE",
    kind: "refused",
    message: `${path} refuses writes since migration ${owner} cut the product over, and this target knows nothing of that`,
    remedy: `name the Postgres that the product was moved to in postgres.url, or restore it; where it is lost for good, with all that was written there: sqlite3 ${shellWord(path)} 'UPDATE ${STATE_TABLE} SET refused = 0' lets SQLite take writes, then run this again`,
    details: { migration: owner },
  });
}

/** As one word of a shell. */
function shellWord(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

type WhyNot = readonly [message: string, remedy: string];

const WHY_NOT: Partial<Record<string, WhyNot>> & { readonly "cut-over": WhyNot } = {
  switching: [
    "a cutover was broken off while the product was switched: it may write to Postgres already",
    "run lifeboat migrate cutover again, which ends it; then rollback leads back",
  ],
  "cut-over": [
    "the migration is cut-over: the product lives in Postgres",
    "lifeboat migrate rollback takes the product back, and lifeboat migrate finish ends the migration",
  ],
  "rolling-back": [
    "the migration is rolling-back: a rollback was begun",
    "run lifeboat migrate rollback again, which ends it; then lifeboat migrate finish ends the migration",
  ],
  "rolled-back": [
    "the migration is rolled-back: the product is back in SQLite, and nothing is left to abort",
    "lifeboat migrate finish ends the migration",
  ],
  finished: [
    "the migration is finished but for its last traces",
    "run lifeboat migrate finish again, which removes them",
  ],
};

export function notAbortable({ phase, details }: JournalEntry): LifeboatError {
  const [message, remedy] =
    WHY_NOT[phase === "cutting-over" && details.switching === true ? "switching" : phase] ??
    WHY_NOT["cut-over"];
  return new LifeboatError({
    code: "NOT_ABORTABLE",
    kind: "refused",
    message,
    remedy,
    details: { phase },
  });
}
