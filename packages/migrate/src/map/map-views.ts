import { finding } from "../finding.ts";
import type { PlannedTable, PlannedView } from "../plan.ts";
import type { MapContext } from "./context.ts";

/** Plans the views that can be said in Postgres; a warning for each other. */
export function mapViews(context: MapContext, _tables: readonly PlannedTable[]): PlannedView[] {
  for (const view of context.source.schema.views)
    context.add(
      finding({
        id: "view-not-translated",
        severity: "warning",
        table: view.name,
        summary: `view ${view.name} is left out`,
      }),
    );
  return [];
}
