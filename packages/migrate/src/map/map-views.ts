import { qualified } from "../ddl.ts";
import { Untranslatable } from "../expression/expression.ts";
import { parseViewSql } from "../expression/parse-select.ts";
import { type Relation, translateSelect } from "../expression/translate-select.ts";
import { finding } from "../finding.ts";
import type { PlannedTable, PlannedView } from "../plan.ts";
import { type SqliteView, tableNamed } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";
import { tableScope } from "./table-scope.ts";

/** Plans the views that can be said in Postgres, in their order, so that one may read another; a warning for each other. */
export function mapViews(context: MapContext, tables: readonly PlannedTable[]): PlannedView[] {
  const relations = tables.map((table) => relationOf(context, table));
  return context.source.schema.views.flatMap((view) => {
    try {
      const target = context.names.take(view.name);
      const { sql, columns } = translateSelect(parseViewSql(view.sql), relations, namesOf(view));
      relations.push({ name: view.name, sql: qualified(context.schema, target), columns });
      return [{ name: view.name, target, select: sql }];
    } catch (cause) {
      if (!(cause instanceof Untranslatable)) throw cause;
      context.add(
        finding({
          id: "view-not-translated",
          severity: "warning",
          table: view.name,
          summary: `view ${view.name} is left out: ${cause.message}`,
        }),
      );
      return [];
    }
  });
}

function namesOf(view: SqliteView): readonly string[] {
  if (view.columns) return view.columns;
  throw new Untranslatable("SQLite itself can't read it");
}

function relationOf(context: MapContext, table: PlannedTable): Relation {
  const source = tableNamed(context.source.schema, table.name);
  if (!source) throw new Error(`table ${table.name} is planned and not there`);
  return {
    name: table.name,
    sql: qualified(context.schema, table.target),
    columns: table.columns.map(({ source: name, target }) => ({
      name,
      target,
      inExpression: (prefix: string) => {
        const found = tableScope(source, table.columns, prefix)(null, name);
        if (!found) throw new Error(`${table.name}.${name} is planned and not in its own scope`);
        return found;
      },
    })),
  };
}
