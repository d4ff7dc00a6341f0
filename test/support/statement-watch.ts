import Database from "better-sqlite3";

/** Hears every statement that this process prepares or runs by SQLite, in order. */
export class StatementWatch {
  readonly heard: string[] = [];
  readonly #own = { prepare: Database.prototype.prepare, pragma: Database.prototype.pragma };

  constructor() {
    const { heard } = this;
    const { prepare, pragma } = this.#own;
    Database.prototype.prepare = function (this: Database.Database, sql: string) {
      heard.push(sql);
      return prepare.call(this, sql);
    } as typeof prepare;
    Database.prototype.pragma = function (this: Database.Database, sql: string, options?: never) {
      heard.push(`PRAGMA ${sql}`);
      return pragma.call(this, sql, options);
    };
  }

  [Symbol.dispose](): void {
    Object.assign(Database.prototype, this.#own);
  }
}
