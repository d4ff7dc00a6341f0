import { type EngineKind, type Finding, LifeboatError } from "@lifeboat/core";
import type { DeclaredTable, Drift } from "@lifeboat/migrate";
import type { Configuration } from "../configuration.ts";
import type { Session } from "../session.ts";

/** Where the live databases differ from the drizzle schemas of the configuration. */
export async function examineDrift(session: Session): Promise<Finding[]> {
  const configuration = await session.configuration();
  const wanted = session.global.engine;
  const kinds = configuration.engines.filter(
    (kind) => (wanted ?? kind) === kind && configuration.schema[kind] !== undefined,
  );
  if (kinds.length === 0) return [];
  const { declaredSchemas } = await import("../drizzle.ts");
  const declared = await declaredSchemas(configuration.schema);
  const findings: Finding[] = [];
  for (const kind of kinds)
    for (const drift of await driftsOf(kind, declared[kind] ?? [], configuration, session.signal))
      findings.push(findingOf(kind, drift));
  return findings;
}

async function driftsOf(
  kind: EngineKind,
  declared: readonly DeclaredTable[],
  { sqlite, postgres, migrate, live }: Configuration,
  signal: AbortSignal,
): Promise<Drift[]> {
  const { driftOf, readPostgresTables, readSqliteTables, sameSqliteType } = await import(
    "@lifeboat/migrate"
  );
  try {
    if (kind === "sqlite")
      return driftOf(
        declared,
        sqlite.flatMap(({ path }) => readSqliteTables(path)),
        sameSqliteType,
      );
    const tables = await readPostgresTables({ url: postgres?.url ?? "" }, signal, migrate.schema);
    // Before the move there is nothing in Postgres yet, and that is as it should be.
    return tables.length === 0 && live !== "postgres" ? [] : driftOf(declared, tables);
  } catch (thrown) {
    // A database that cannot be read was named by its engine's own inspection.
    if (thrown instanceof LifeboatError) return [];
    throw thrown;
  }
}

function findingOf(kind: EngineKind, { summary }: Drift): Finding {
  const name = kind === "sqlite" ? "SQLite" : "Postgres";
  return {
    id: `drift-${kind}`,
    severity: "warning",
    summary: `${name}: ${summary}`,
    remedy: "bring the drizzle schema and the database together: one of them is out of date",
  };
}
