import { randomUUID } from "node:crypto";
import type { Client } from "pg";
import type { MigrationPlan } from "../plan.ts";
import { sameName, tableNamed } from "../sqlite/schema.ts";
import { abandon } from "../target/abandon.ts";
import { applyTable } from "./apply-table.ts";
import { assertFollowable, unfollowable } from "./assert-followable.ts";
import { ChangeReader, type TouchedTable } from "./change-reader.ts";
import { FROM_THE_START } from "./followed.ts";
import type { FrozenFile } from "./frozen-file.ts";
import { assertOneHistory, assertOneServer, preparedLook } from "./known-look.ts";
import { rewrittenSince } from "./stored-as.ts";

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
  /** Takes every table as it is, whatever either side knows of the other: one of them was restored to an earlier state. */
  readonly isAnew?: boolean;
}

/**
 * Brings SQLite to what Postgres holds now: one look at the log, one transaction there. Its commit comes after that of
 * Postgres, and holds how far it came.
 * @returns what was touched; empty where nothing was new
 * @throws LifeboatError `NOT_FOLLOWABLE`, `SQLITE_REPLACED`, `POSTGRES_SET_BACK` (refused), and Postgres' own 55P03 or 40P01
 *   where somebody keeps a table from being read; then SQLite is as it was, and Postgres keeps the changes
 */
export async function followOnce(input: FollowInput): Promise<FollowedTable[]> {
  const { client, file, plan, isAnew = false } = input;
  const followed = file.followed();
  const known = await preparedLook(client);
  if (!isAnew) assertOneHistory(known, followed);
  const reader = await ChangeReader.begin(
    client,
    plan,
    isAnew ? FROM_THE_START : followed.snapshot,
  );
  try {
    const logged = await reader.touched();
    if (isAnew) await reader.ownForeign();
    else await assertOneServer(reader, followed);
    const isChecked = isAnew || logged.length > 0 || input.isIdleChecked !== false;
    if (isChecked) assertFollowable(await unfollowable(client, plan));
    const stored = isChecked ? await reader.stored() : {};
    const then = followed.stored ?? known.stored ?? stored;
    const rewritten = isAnew ? new Set(Object.keys(stored)) : rewrittenSince(then, stored);
    const touched = withRewritten(logged, plan, rewritten);
    if (touched.length === 0) {
      if (known.batch < followed.batch) await reader.commit(followed.batch);
      else await client.query("COMMIT");
      return [];
    }
    const tables = await applyTouched(input, reader, touched);
    // Between both commits, and where the second never comes, the file must not pass for one that Postgres knows.
    const before = isAnew ? null : followed.look;
    const batch = Math.max(followed.batch, known.batch);
    const look = randomUUID();
    await reader.commit(batch, { look, before });
    file.commit({ batch: batch + 1, snapshot: reader.snapshot, look, stored });
    return tables;
  } catch (cause) {
    file.rollback();
    await abandon(client);
    throw cause;
  }
}

/** A table that was written anew is taken as it is, whatever the log says of it. */
function withRewritten(
  logged: readonly TouchedTable[],
  { tables }: MigrationPlan,
  rewritten: ReadonlySet<string>,
): TouchedTable[] {
  return tables.flatMap((table) => {
    const found = logged.find((one) => one.table === table);
    if (!rewritten.has(table.target)) return found ?? [];
    return { table, entries: found?.entries ?? 0, whole: true };
  });
}

async function applyTouched(
  { file, signal, isAnew }: FollowInput,
  reader: ChangeReader,
  touched: readonly TouchedTable[],
): Promise<FollowedTable[]> {
  file.begin(
    touched.map(({ table }) => table.name),
    isAnew,
  );
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
