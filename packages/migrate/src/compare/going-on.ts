import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { logBegin } from "../capture/change-log.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import { targetTables } from "../ddl.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { MigrationPlan } from "../plan.ts";
import { unfollowable } from "../reverse/assert-followable.ts";
import { REFUSAL_TRIGGER } from "../reverse/refuse-target-writes.ts";
import type { JournalEntry } from "../target/journal.ts";

const NO_WAY_BACK = new Set([
  "table-not-in-sqlite",
  "column-not-in-sqlite",
  "table-inherits",
  "table-subscribed",
]);

/** What of Postgres ends the way back once the product has moved, and what of ours is gone there that keeps writes from being lost. */
export async function targetGoesOn(
  client: Client,
  { plan, details }: JournalEntry,
): Promise<MigrationFinding[]> {
  const ways = (await unfollowable(client, plan))
    .filter(({ id }) => NO_WAY_BACK.has(id))
    .map((one): MigrationFinding => {
      const summary = `${one.summary}: once the product has moved there is no way back to SQLite while it is there`;
      return { ...one, severity: "warning", summary };
    });
  return details.targetRefused === true ? [...ways, ...(await refusalsGone(client, plan))] : ways;
}

/** After a switch that failed Postgres refuses the product, whose writes there would be lost. */
async function refusalsGone(client: Client, plan: MigrationPlan): Promise<MigrationFinding[]> {
  const relations = targetTables(plan);
  const { rows } = await client.query<{ at: string }>(
    `SELECT at FROM unnest($1::text[]) WITH ORDINALITY AS one(name, at) WHERE to_regclass(name) IS NOT NULL AND NOT EXISTS
       (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(name) AND tgname = '${REFUSAL_TRIGGER}' AND tgenabled = 'A')`,
    [relations],
  );
  return rows.map(({ at }) => {
    const table = plan.tables[Number(at) - 1]?.name ?? "";
    return finding({
      id: "refusal-missing",
      severity: "error",
      table,
      summary: `${table} takes the product's writes in Postgres, which a cutover that was taken back had refused: what is written there is lost. Lead whatever writes there to SQLite; the next migrate cutover sets it right`,
    });
  });
}

/**
 * Whether Postgres still holds all that SQLite has forgotten: not where it was restored to an earlier state since. Rows that are missing there
 * would pass for rows in flight, which no sync brings any more.
 * @param newest the watermark of Postgres, asked once the log is read: a sync forgets only what is committed there
 */
export async function logGoesOn(
  db: Database,
  newest: () => Promise<bigint>,
): Promise<MigrationFinding[]> {
  const first = logBegin(db);
  if (first === null || first <= (await newest()) + 1n) return [];
  return [
    finding({
      id: "postgres-set-back",
      severity: "error",
      summary:
        "Postgres lacks changes that it held already and that are no longer in SQLite's log: it was restored to an earlier state, or failed over to a server that lacked its last commits. Migrate abort --drop-loaded, and load anew",
    }),
  ];
}

/** What ends the following of SQLite. What is not logged is in nobody's sight. */
export function sourceGoesOn(db: Database, plan: MigrationPlan): MigrationFinding[] {
  if (schemaSince(db) !== "changed") return [];
  const names = new Set(
    db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all(),
  );
  const unlogged = plan.tables.filter((_, number) =>
    ["insert", "update", "delete"].some(
      (event) => !names.has(`lifeboat_capture_${number}_${event}`),
    ),
  );
  if (unlogged.length === 0)
    return [
      finding({
        id: "source-changed",
        severity: "warning",
        summary:
          "the schema of SQLite was changed since the load: a sync and a cutover stop there. Take the change back, or migrate abort and load anew",
      }),
    ];
  return unlogged.map(({ name }) =>
    finding({
      id: "capture-missing",
      severity: "error",
      table: name,
      summary: `${name} lost the triggers in SQLite that log its writes: a sync and a cutover stop there. Migrate abort, and load anew`,
    }),
  );
}
