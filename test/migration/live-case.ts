import {
  type MigrationFinding,
  type MigrationPlan,
  type VerifyReport,
  type VerifyRequest,
  verifyMigration,
} from "@lifeboat/migrate";
import Database, { type Database as Connection } from "better-sqlite3";
import pg from "pg";
import { forgetChanges } from "../../packages/migrate/src/capture/change-log.ts";
import { installCapture } from "../../packages/migrate/src/capture/install-capture.ts";
import { type LoggedRows, loggedChanges } from "../../packages/migrate/test/logged-changes.ts";
import type { TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** A migration that was loaded and whose SQLite database logs its writes. */
export interface LiveCase extends MigrationCase {
  readonly id: string;
  readonly migrated: MigrationPlan;
  /** A connection of the product. */
  readonly product: Connection;
  /** Changes SQLite behind the back of its log, as nothing that is captured can. */
  unlogged(sql: string): void;
  /** What one look of a sync does: brings every logged row over as it is now, and forgets what it brought. */
  bring(): Promise<void>;
  /** Keeps the rowid of tables without a key in Postgres, as a load of a live database does. */
  keepRowids(): Promise<void>;
  verifyLive(more?: Partial<VerifyRequest>): Promise<VerifyReport>;
}

/** So short that a test need not wait where no sync runs. */
const LITTLE_PATIENCE = { total: 1000, idle: 100 };

export async function liveCase(cluster: TestCluster, sql: string): Promise<LiveCase> {
  const one = await migrationCase(cluster, `PRAGMA journal_mode = WAL; ${sql}`);
  const { id } = await one.load();
  const migrated = await planOf(one);
  const product = new Database(one.path, { timeout: 60_000 });
  product.defaultSafeIntegers(true);
  product.pragma("foreign_keys = OFF");
  installCapture(product, { plan: migrated, migration: id });
  const client = new pg.Client(one.url);
  await client.connect();
  const { end } = one;
  return Object.assign(one, {
    id,
    migrated,
    product,
    unlogged(change: string) {
      product.transaction(() => {
        const last = product.prepare("SELECT coalesce(max(seq), 0) FROM lifeboat_log").pluck();
        const before = last.get();
        product.exec(change);
        product.prepare("DELETE FROM lifeboat_log WHERE seq > ?").run(before);
      })();
    },
    bring: () => bringChanges(product, client, migrated),
    async keepRowids() {
      for (const table of migrated.tables.filter(({ key }) => key.length === 0)) {
        await client.query(`ALTER TABLE public.${table.target} ADD lifeboat_rowid bigint`);
        // A quiet load copies in the order of the rowid.
        await client.query(
          `UPDATE public.${table.target} AS t SET lifeboat_rowid = n FROM
           (SELECT ctid, row_number() OVER (ORDER BY ctid) AS n FROM public.${table.target}) AS o WHERE o.ctid = t.ctid`,
        );
      }
    },
    verifyLive: (more: Partial<VerifyRequest> = {}) =>
      verifyMigration({
        sqlite: { path: one.path },
        postgres: { url: one.url },
        signal: new AbortController().signal,
        patience: LITTLE_PATIENCE,
        ...more,
      }),
    async end() {
      product.close();
      await client.end();
      await end();
    },
  });
}

async function planOf(one: MigrationCase): Promise<MigrationPlan> {
  const [row] = await one.query<{ plan: MigrationPlan }>("SELECT plan FROM lifeboat.migrations");
  if (!row) throw new Error("not loaded");
  return row.plan;
}

async function bringChanges(db: Connection, client: pg.Client, plan: MigrationPlan) {
  const noted = await client.query<{ watermark: string | null }>(
    "SELECT details->>'watermark' AS watermark FROM lifeboat.migrations",
  );
  const after = BigInt(noted.rows[0]?.watermark ?? 0);
  const batch = db.transaction(() => {
    const changes = loggedChanges(db, plan, after);
    return changes && { ...changes, rows: changes.changes.map((one) => rowsOf(db, plan, one)) };
  })();
  if (!batch) return;
  await client.query("BEGIN");
  for (const [at, change] of batch.changes.entries()) {
    const table = plan.tables[change.table];
    if (!table) throw new Error(`no table ${change.table}`);
    const name = `public."${table.target}"`;
    const keys = table.key.length > 0 ? table.key : ["lifeboat_rowid"];
    const isKey = keys.map((key, index) => `"${key}" = $${index + 1}`).join(" AND ");
    for (const identity of change.identities)
      await client.query(`DELETE FROM ${name} WHERE ${isKey}`, identity as unknown[]);
    const columns = table.columns.map((column) => `"${column.target}"`);
    if (table.key.length === 0) columns.unshift("lifeboat_rowid");
    const marks = columns.map((_, index) => `$${index + 1}`).join(", ");
    for (const row of batch.rows[at] ?? [])
      await client.query(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${marks})`, row);
  }
  await client.query(
    "UPDATE lifeboat.migrations SET details = (details::jsonb || jsonb_build_object('watermark', $1::text))::json",
    [String(batch.through)],
  );
  await client.query("COMMIT");
  forgetChanges(db, batch.through);
}

function rowsOf(db: Connection, plan: MigrationPlan, { table: number, identities }: LoggedRows) {
  const table = plan.tables[number];
  if (!table) throw new Error(`no table ${number}`);
  const keys = table.key.length > 0 ? table.key : [table.rowid ?? ""];
  const columns = table.columns.map((column) => `"${column.source}"`);
  if (table.key.length === 0) columns.unshift(`"${table.rowid}"`);
  const isKey = keys.map((key) => `"${key}" = ? AND "${key}" = ? COLLATE BINARY`).join(" AND ");
  const find = db
    .prepare<unknown[], unknown[]>(
      `SELECT ${columns.join(", ")} FROM "${table.name}" WHERE ${isKey}`,
    )
    .raw();
  return identities.flatMap((identity) => find.all(...identity.flatMap((key) => [key, key])));
}

export function told({ findings }: VerifyReport): Partial<MigrationFinding>[] {
  return findings.map(({ id, severity, table, count, sample }) => ({
    id,
    severity,
    table,
    count,
    sample,
  }));
}
