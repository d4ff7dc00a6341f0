import Database from "better-sqlite3";
import type { Command, Workplace } from "../workplace.ts";
import type { SourceDatabase } from "./sources.ts";
import type { Target } from "./target.ts";

/** What is read of what `migrate load --json` says. */
export interface LoadDocument {
  readonly rows: number;
  readonly bytes: number;
  readonly tables: readonly { name: string; rows: number; seconds: number }[];
}

/** Where a database is migrated to, and by what. */
export class Migration {
  readonly source: SourceDatabase;
  readonly target: Target;
  readonly command: Command;

  private constructor(source: SourceDatabase, target: Target, command: Command) {
    this.source = source;
    this.target = target;
    this.command = command;
  }

  static async of(
    source: SourceDatabase,
    target: Target,
    workplace: Workplace,
  ): Promise<Migration> {
    const command = await workplace.command(`migrate-${source.name}`, {
      sqlite: { path: source.path },
      postgres: { url: target.url },
    });
    return new Migration(source, target, command);
  }

  /** Nothing is left of an earlier run: an empty target, and no capture in SQLite. */
  async anew(): Promise<void> {
    await this.target.anew();
    if (this.#isCaptured()) await this.command.json("migrate abort");
  }

  #isCaptured(): boolean {
    const database = new Database(this.source.path, { readonly: true });
    try {
      return (
        database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'lifeboat_log'").get() !==
        undefined
      );
    } finally {
      database.close();
    }
  }
}
