import { untellableIndexes } from "../capture/replaced-rows.ts";
import { finding } from "../finding.ts";
import type { MapContext } from "./context.ts";

/** Notes the tables whose writes can't be logged: they go over only while nothing writes, and a plan is the place to hear of that. */
export function noteNotCapturable(context: MapContext): void {
  for (const table of context.tables)
    for (const { index, word } of untellableIndexes(table))
      context.add(
        finding({
          id: "not-capturable",
          severity: "warning",
          table: table.name,
          column: index.name,
          summary: `unique index ${index.name} of ${table.name} holds an expression with ${word}, so the product's writes can't be followed: make a generated column of it and the index on that, or load while nothing writes (lifeboat migrate load --offline)`,
        }),
      );
}
