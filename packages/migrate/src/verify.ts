import { LifeboatError, type Report, reasonOf, runSteps } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import { compareCatalog } from "./compare/compare-catalog.ts";
import { changedDefinitions, missingColumns } from "./compare/compare-structure.ts";
import { readCatalog } from "./compare/read-catalog.ts";
import { compareTable, type TableComparison } from "./compare.ts";
import { driftFindings } from "./drift.ts";
import { finding, type MigrationFinding } from "./finding.ts";
import type { MigrationPlan, PlannedTable } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { openSource, type Source } from "./source.ts";
import { sameName, tableNamed } from "./sqlite/schema.ts";
import { connectTarget } from "./target/connect.ts";
import { type JournalEntry, newestEntry } from "./target/journal.ts";
import { serverError } from "./target/target-error.ts";

export interface VerifyRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
}

export interface VerifyReport {
  readonly phase: "verify";
  /** Every value equal, every constraint, index and sequence in place. */
  readonly ok: boolean;
  readonly schema: string;
  readonly tables: readonly TableComparison[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  readonly seconds: number;
}

/**
 * Compares both sides, value by value, by the plan under which the target was loaded. Changes nothing on
 * either side and may be run as often as one likes.
 * @throws LifeboatError `NOT_LOADED` (not-found) where no load of ours has finished
 */
export async function verifyMigration(request: VerifyRequest): Promise<VerifyReport> {
  const source = openSource(request.sqlite.path);
  try {
    const client = await connectTarget(request.postgres);
    try {
      return await verifyBoth(client, source, request);
    } catch (cause) {
      throw serverError(cause);
    } finally {
      await client.end();
    }
  } finally {
    source.close();
  }
}

async function verifyBoth(
  client: Client,
  source: Source,
  request: VerifyRequest,
): Promise<VerifyReport> {
  const started = performance.now();
  const { plan, catalog: then } = await loadedEntry(client, request.schema);
  const tables: TableComparison[] = [];
  const findings: MigrationFinding[] = unplanned(plan, source);
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const now = await readCatalog(client, plan.schema);
  const run = request.run ?? runSteps;
  await run([
    {
      title: "compare every value",
      run: async (report) => {
        for (const table of plan.tables) {
          const missing = missingColumns(table, now);
          if (missing.length > 0) {
            tables.push(uncompared(table));
            findings.push(...missing);
            continue;
          }
          const compared = await compareOne(client, source, plan, table, request.signal, report);
          tables.push(compared.table);
          findings.push(...compared.findings);
        }
      },
    },
    {
      title: "look for constraints, indexes and sequences",
      run: async () => {
        for (const table of plan.tables)
          findings.push(
            ...(await compareCatalog(client, plan.schema, withSequence(table, source))),
          );
        findings.push(...changedDefinitions(plan, then, now));
      },
    },
  ]);
  findings.push(...driftFindings(request.declared, source.schema, plan.tables));
  return {
    phase: "verify",
    ok: !findings.some((one) => one.severity === "error"),
    schema: plan.schema,
    tables,
    findings,
    rows: tables.reduce((sum, table) => sum + table.rows, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

async function loadedEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  const entry = await newestEntry(client);
  if (entry?.phase === "loaded" && (schema === undefined || entry.plan.schema === schema))
    return entry;
  throw new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message: entry
      ? "the last load into the target did not finish"
      : "nothing was loaded into the target yet",
    remedy: "run `lifeboat migrate load`",
  });
}

/** Tables and columns that came to SQLite after the load; what is calculated holds nothing of its own. */
function unplanned(plan: MigrationPlan, source: Source): MigrationFinding[] {
  return source.schema.tables.flatMap((table) => {
    if (plan.leftOut.some((name) => sameName(name, table.name))) return [];
    const planned = plan.tables.find((one) => sameName(one.name, table.name));
    if (!planned) return [notLoaded(table.name, null)];
    return table.columns
      .filter((column) => !column.generated)
      .filter((column) => !planned.columns.some((one) => sameName(one.source, column.name)))
      .map((column) => notLoaded(table.name, column.name));
  });
}

function notLoaded(table: string, column: string | null): MigrationFinding {
  const kind = column === null ? "table" : "column";
  const what = column === null ? `table ${table}` : `column ${column} of ${table}`;
  return finding({
    id: `${kind}-not-loaded`,
    severity: "error",
    table,
    column,
    summary: `${what} came to SQLite after the load and is not in Postgres`,
  });
}

/** AUTOINCREMENT may have given out ids since, whose rows are gone again. */
function withSequence(table: PlannedTable, source: Source): PlannedTable {
  const { identity } = table;
  const given = tableNamed(source.schema, table.name)?.sequence ?? null;
  if (identity === null || given === null || given <= BigInt(identity.last)) return table;
  return { ...table, identity: { ...identity, last: String(given) } };
}

function uncompared(table: PlannedTable): TableComparison {
  const nothing = { rows: 0, rowsInPostgres: 0, equal: false, differing: 0, differences: [] };
  return { name: table.name, ...nothing };
}

async function compareOne(
  client: Client,
  source: Source,
  plan: MigrationPlan,
  table: PlannedTable,
  signal: AbortSignal,
  report: Report,
): Promise<{ table: TableComparison; findings: MigrationFinding[] }> {
  try {
    const input = { db: source.db, client, schema: plan.schema, table, report, signal };
    const compared = await compareTable(input);
    return { table: compared, findings: compared.equal ? [] : [differs(compared)] };
  } catch (cause) {
    if (!(cause instanceof SqliteError)) throw cause;
    return { table: uncompared(table), findings: [unreadable(table, cause)] };
  }
}

function differs(compared: TableComparison): MigrationFinding {
  const columns = new Set(compared.differences.flatMap((one) => one.columns));
  return finding({
    id: "rows-differ",
    severity: "error",
    table: compared.name,
    column: columns.size > 0 ? [...columns].join(",") : null,
    count: compared.differing,
    sample: compared.differences.map((one) => `${one.key} (${one.kind})`),
    summary: `${compared.differing} rows of ${compared.name} differ (SQLite ${compared.rows}, Postgres ${compared.rowsInPostgres})`,
  });
}

function unreadable(table: PlannedTable, cause: unknown): MigrationFinding {
  return finding({
    id: "schema-changed",
    severity: "error",
    table: table.name,
    summary: `table ${table.name} can't be read in SQLite as it was planned: ${reasonOf(cause)}`,
  });
}
