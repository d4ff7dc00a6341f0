import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import type { MigrationPlan } from "../plan.ts";
import { sameName, tableNamed } from "../sqlite/schema.ts";
import { abandon } from "../target/abandon.ts";
import { applyTable } from "./apply-table.ts";
import { assertFollowable, unfollowable } from "./assert-followable.ts";
import { ChangeReader, type TouchedTable } from "./change-reader.ts";
import type { Followed, FrozenFile } from "./frozen-file.ts";

export interface FollowedTable {
  readonly name: string;
  /** Entries of the log; several may concern one row. */
  readonly changes: number;
  readonly written: number;
  readonly removed: number;
}

export interface FollowInput {
  readonly client: Client;
  readonly file: FrozenFile;
  readonly plan: MigrationPlan;
  readonly signal: AbortSignal;
  /** Whether Postgres' schema is looked at also where nothing was written; true when left out. */
  readonly isIdleChecked?: boolean;
}

/**
 * Brings SQLite to what Postgres holds now: one look at the log, one transaction there. Its commit comes after that of
 * Postgres, and holds how far it came.
 * @returns what was touched; empty where nothing was new
 * @throws LifeboatError `NOT_FOLLOWABLE`; then SQLite is as it was, and Postgres keeps the changes
 */
export async function followOnce(input: FollowInput): Promise<FollowedTable[]> {
  const { client, file, plan } = input;
  const followed = file.followed();
  const known = await assertSameFile(client, followed);
  const reader = await ChangeReader.begin(client, plan, followed.snapshot);
  try {
    const touched = await reader.touched();
    if (touched.length > 0 || input.isIdleChecked !== false)
      assertFollowable(await unfollowable(client, plan));
    if (touched.length === 0) {
      if (known < followed.batch) await reader.commit(followed.batch);
      else await client.query("COMMIT");
      return [];
    }
    const tables = await applyTouched(input, reader, touched);
    await reader.commit(followed.batch);
    file.commit({ batch: followed.batch + 1, snapshot: reader.snapshot });
    return tables;
  } catch (cause) {
    file.rollback();
    await abandon(client);
    throw cause;
  }
}

async function applyTouched(
  { file, signal }: FollowInput,
  reader: ChangeReader,
  touched: readonly TouchedTable[],
): Promise<FollowedTable[]> {
  file.begin(touched.map(({ table }) => table.name));
  const tables: FollowedTable[] = [];
  const findings = [];
  for (const one of touched) {
    const {
      table,
      findings: found,
      written,
      removed,
    } = await applyTable(reader, file, one, signal);
    tables.push({ name: table.name, changes: one.entries, written, removed });
    findings.push(...found);
    await raiseSequence(file, reader, one);
  }
  assertFollowable(findings);
  return tables;
}

/** Ids that Postgres gave out, whose rows are gone again, must not be given out again by SQLite. */
async function raiseSequence(
  file: FrozenFile,
  reader: ChangeReader,
  { table }: TouchedTable,
): Promise<void> {
  if (!tableNamed(file.schema, table.name)?.autoincrement) return;
  const last = await reader.lastIdentity(table);
  if (last === null) return;
  const raised = file.db
    .prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ? COLLATE NOCASE")
    .run(last, table.name);
  if (raised.changes > 0) return;
  const own = file.schema.tables.find((one) => sameName(one.name, table.name));
  file.db
    .prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)")
    .run(own?.name ?? table.name, last);
}

/**
 * An older copy of the file lacks changes that Postgres has forgotten.
 * @returns the batch up to which it has
 */
async function assertSameFile(client: Client, followed: Followed): Promise<number> {
  const { rows } = await client.query<{ batch: string }>("SELECT batch FROM lifeboat.followed");
  const known = Number(rows[0]?.batch ?? 0);
  if (followed.batch >= known) return known;
  throw new LifeboatError({
    code: "SQLITE_REPLACED",
    kind: "refused",
    message: `the SQLite database holds batch ${followed.batch} of Postgres' changes, and batch ${known} was followed already: it is an older copy of the file`,
    remedy: "bring back the file that was followed; from an older copy no way leads back",
  });
}
