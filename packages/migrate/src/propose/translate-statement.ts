import { qualified } from "../ddl.ts";
import { Untranslatable } from "../expression/expression.ts";
import type { MappedTable } from "../map/map-foreign-keys.ts";
import type { PlannedColumn } from "../plan.ts";
import { nameList, quoteName, quoteText } from "../quote.ts";
import {
  closingOf,
  isSign,
  isWord,
  splitAtCommas,
  type Token,
  tokensOf,
} from "../sqlite/tokens.ts";
import { columnOf, type SeenRow, StatementNames } from "./statement-names.ts";

/** Where a statement of a trigger stands. */
export interface StatementPlace {
  readonly fired: MappedTable;
  readonly seen: readonly SeenRow[];
  /** The Postgres schema of all tables. */
  readonly schema: string;
  /** @throws Untranslatable for a table that is not in the migration */
  readonly tableOf: (name: string) => MappedTable;
  /** What a BEFORE trigger returns to have the row passed over. */
  readonly passedOver: string | null;
}

/**
 * One statement of a trigger in PL/pgSQL: the plain forms of INSERT, UPDATE and DELETE, and SELECT RAISE(…).
 * @throws Untranslatable for any other
 */
export function translateStatement(sql: string, place: StatementPlace): string {
  const statement = new Statement(sql, place);
  if (statement.word("INSERT")) return statement.insert();
  if (statement.word("UPDATE")) return statement.update();
  if (statement.word("DELETE")) return statement.delete();
  if (statement.word("SELECT")) return statement.raise();
  throw new Untranslatable("only INSERT, UPDATE, DELETE and SELECT RAISE(…) are translated");
}

class Statement {
  readonly #sql: string;
  readonly #place: StatementPlace;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(sql: string, place: StatementPlace) {
    this.#sql = sql;
    this.#place = place;
    this.#tokens = tokensOf(sql);
  }

  word(word: string): boolean {
    const found = isWord(this.#tokens[this.#at], word);
    if (found) this.#at++;
    return found;
  }

  insert(): string {
    const ignore = this.#conflict();
    this.#expect("INTO");
    const table = this.#table();
    const columns = this.#columns(table);
    const names = this.#names();
    const into = `INSERT INTO ${this.#relation(table)} (${nameList(columns.map(({ target }) => target))})`;
    const end = ignore ? " ON CONFLICT DO NOTHING" : "";
    const valuesOf = (list: readonly Token[]) =>
      splitAtCommas(list).map((part, at) => this.#value(names, columns[at], part));
    if (this.word("VALUES")) {
      const rows = splitAtCommas(this.#rest()).map((row) =>
        valuesOf(inParentheses(row)).join(", "),
      );
      return `${into} VALUES ${rows.map((row) => `(${row})`).join(", ")}${end};`;
    }
    this.#expect("SELECT");
    const { before, after } = this.#splitAt("WHERE");
    const where = after === null ? "" : ` WHERE ${names.condition(this.#slice(after))}`;
    return `${into} SELECT ${valuesOf(before).join(", ")}${where}${end};`;
  }

  update(): string {
    if (this.#conflict()) throw new Untranslatable("UPDATE OR IGNORE has no equal");
    const table = this.#table();
    this.#expect("SET");
    const names = this.#names(table);
    const { before, after } = this.#splitAt("WHERE");
    const set = splitAtCommas(before).map((part) => {
      const column = part[0] && columnOf(table, part[0].text);
      if (!column) throw new Untranslatable("SET of several columns");
      return `${quoteName(column.target)} = ${names.value(column, this.#slice(part.slice(2)))}`;
    });
    return `UPDATE ${this.#relation(table)} AS t SET ${set.join(", ")}${this.#where(names, after)};`;
  }

  delete(): string {
    this.#expect("FROM");
    const table = this.#table();
    const { before, after } = this.#splitAt("WHERE");
    if (before.length > 0) throw new Untranslatable("DELETE with more than WHERE");
    return `DELETE FROM ${this.#relation(table)} AS t${this.#where(this.#names(table), after)};`;
  }

  /** `SELECT RAISE(…) WHERE c`, and `SELECT CASE WHEN c THEN RAISE(…) END`. */
  raise(): string {
    const inCase = this.word("CASE");
    let condition: readonly Token[] | null = null;
    if (inCase) {
      this.#expect("WHEN");
      condition = this.#until("THEN");
    }
    this.#expect("RAISE");
    const close = closingOf(this.#tokens, this.#at);
    const [how, , message, more] = this.#tokens.slice(this.#at + 1, close);
    this.#at = close + 1;
    if (inCase) this.#expect("END");
    else if (this.word("WHERE")) condition = this.#rest();
    if (this.#at < this.#tokens.length) throw new Untranslatable("more than RAISE in a SELECT");
    const act = this.#act(how, more ? undefined : message);
    if (condition === null) return act;
    return `IF ${this.#names().condition(this.#slice(condition))} THEN ${act} END IF;`;
  }

  #act(how: Token | undefined, message: Token | undefined): string {
    if (isWord(how, "IGNORE")) {
      if (this.#place.passedOver === null)
        throw new Untranslatable("RAISE(IGNORE) after the write");
      return `RETURN ${this.#place.passedOver};`;
    }
    if (message?.kind !== "string") throw new Untranslatable("a message that is no constant");
    return `RAISE EXCEPTION USING MESSAGE = ${quoteText(message.text)}, ERRCODE = 'integrity_constraint_violation';`;
  }

  /** Whether rows that are in the way are passed over. */
  #conflict(): boolean {
    if (!this.word("OR")) return false;
    const action = (this.#tokens[this.#at++]?.text ?? "").toUpperCase();
    if (action === "IGNORE") return true;
    if (["ABORT", "FAIL", "ROLLBACK"].includes(action)) return false;
    throw new Untranslatable(`OR ${action} has no equal: write INSERT … ON CONFLICT (…) DO UPDATE`);
  }

  #table(): MappedTable {
    return this.#place.tableOf(this.#tokens[this.#at++]?.text ?? "");
  }

  #columns(table: MappedTable): readonly PlannedColumn[] {
    if (!isSign(this.#tokens[this.#at], "("))
      return table.columns.filter(({ generated }) => generated === null);
    const close = closingOf(this.#tokens, this.#at);
    const names = splitAtCommas(this.#tokens.slice(this.#at + 1, close));
    this.#at = close + 1;
    return names.map(([name]) => {
      const column = name && columnOf(table, name.text);
      if (!column) throw new Untranslatable(`${name?.text} is no column of ${table.table.name}`);
      return column;
    });
  }

  #value(names: StatementNames, column: PlannedColumn | undefined, part: readonly Token[]): string {
    if (!column) throw new Untranslatable("more values than columns");
    return names.value(column, this.#slice(part));
  }

  #names(changed: MappedTable | null = null): StatementNames {
    return new StatementNames(this.#place.fired, this.#place.seen, changed);
  }

  #relation({ target }: MappedTable): string {
    return qualified(this.#place.schema, target);
  }

  #where(names: StatementNames, condition: readonly Token[] | null): string {
    return condition === null ? "" : ` WHERE ${names.condition(this.#slice(condition))}`;
  }

  #expect(word: string): void {
    if (this.word(word)) return;
    throw new Untranslatable(
      `${JSON.stringify(this.#tokens[this.#at]?.text ?? "")} has no translation here`,
    );
  }

  #rest(): readonly Token[] {
    const rest = this.#tokens.slice(this.#at);
    this.#at = this.#tokens.length;
    return rest;
  }

  #until(word: string): readonly Token[] {
    const { before, after } = this.#splitAt(word);
    if (after === null) throw new Untranslatable(`CASE without ${word}`);
    this.#at = this.#tokens.length - after.length;
    return before;
  }

  /** What stands before and after a word that lies in no parenthesis. */
  #splitAt(word: string): { before: readonly Token[]; after: readonly Token[] | null } {
    const rest = this.#rest();
    let depth = 0;
    const at = rest.findIndex((token) => {
      if (isSign(token, "(")) depth++;
      if (isSign(token, ")")) depth--;
      return depth === 0 && isWord(token, word);
    });
    return at < 0
      ? { before: rest, after: null }
      : { before: rest.slice(0, at), after: rest.slice(at + 1) };
  }

  #slice(tokens: readonly Token[]): string {
    const [first, last] = [tokens[0], tokens.at(-1)];
    return first && last ? this.#sql.slice(first.start, last.end) : "";
  }
}

function inParentheses(row: readonly Token[]): readonly Token[] {
  if (isSign(row[0], "(") && closingOf(row, 0) === row.length - 1) return row.slice(1, -1);
  throw new Untranslatable("more than rows after VALUES");
}
