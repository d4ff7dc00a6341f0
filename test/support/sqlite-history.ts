import { createHash } from "node:crypto";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { Recorder } from "./sqlite-recorder.ts";
import type { SqliteApp } from "./sqlite-repository.ts";

/** What a database held when a mark was made. */
export interface State {
  readonly at: number;
  readonly dump: string;
}

/** Runs statements as the app, a look at the WAL after each, and keeps what the database held then. */
export async function history(
  app: SqliteApp,
  statements: readonly string[],
  options: { readonly perSegment?: number; readonly recorder?: Recorder } = {},
): Promise<{ recorder: Recorder; states: [State, ...State[]] }> {
  const { perSegment = 1 } = options;
  const database = new Database(app.path);
  try {
    database.pragma("wal_autocheckpoint = 0");
    const recorder = options.recorder ?? (await Recorder.begin(app));
    const states: State[] = [];
    for (const [index, sql] of statements.entries()) {
      database.exec(sql);
      const at = await recorder.poll();
      if (at !== undefined) states.push({ at, dump: dump(database) });
      if (index % perSegment === perSegment - 1) await recorder.ship();
      // Each mark an instant of its own.
      while (Date.now() === at) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await recorder.ship();
    return { recorder, states: states as [State, ...State[]] };
  } finally {
    // Not the last connection: closing that would checkpoint and remove the WAL.
    keepOpen(app);
    database.close();
  }
}

const kept: Database.Database[] = [];
function keepOpen(app: SqliteApp): void {
  const database = new Database(app.path);
  database.prepare("SELECT count(*) FROM sqlite_schema").get();
  database.pragma("wal_autocheckpoint = 0");
  kept.push(database);
}

/** Closes what histories kept open. */
export function closeHistories(): void {
  for (const database of kept.splice(0)) database.close();
}

/** All rows of all tables, as text; of long tables their digest. */
function dump(database: Database.Database): string {
  const tables = database
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .pluck()
    .all() as string[];
  const textOf = (table: string) => {
    const text = JSON.stringify(database.prepare(`SELECT * FROM "${table}"`).raw().all());
    return text.length < 200 ? text : createHash("sha256").update(text).digest("hex");
  };
  return tables.map((table) => `${table}: ${textOf(table)}`).join("\n");
}

/** The same of a restored copy, which has to be sound. */
export function dumpOf(path: string): string {
  const database = new Database(path, { readonly: true });
  try {
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    return dump(database);
  } finally {
    database.close();
  }
}
