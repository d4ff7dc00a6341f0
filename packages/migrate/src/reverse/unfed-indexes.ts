import { finding, type MigrationFinding } from "../finding.ts";
import { quoteName } from "../quote.ts";
import { foldName, type SqliteSchema } from "../sqlite/schema.ts";
import { feedingPart } from "./feeding-part.ts";

/**
 * Names the virtual tables that no trigger feeds: the product's own code does, and that ran against Postgres. They hold
 * what they held at the cutover.
 */
export function unfedIndexes(schema: SqliteSchema): MigrationFinding[] {
  return schema.virtualTables
    .filter(
      (one) => !schema.triggers.some(({ sql }) => feedingPart(sql, "fed", [one.name]) !== null),
    )
    .map((one) =>
      finding({
        id: "index-not-followed",
        severity: "warning",
        table: one.name,
        summary: `${one.name} (${one.module}) is fed by no trigger, so it holds what it held at the cutover: ${remedyFor(one.module, one.name, foldName(one.arguments))}`,
      }),
    );
}

/** FTS5 with content elsewhere can read it again (its manual, section 6.4); without it only the product can. */
function remedyFor(module: string, name: string, folded: string): string {
  const quoted = quoteName(name);
  if (module === "fts5" && /\bcontent\s*=\s*['"]?\w/.test(folded))
    return `INSERT INTO ${quoted}(${quoted}) VALUES('rebuild')`;
  return "let the product fill it again";
}
