import { qualified } from "../ddl.ts";
import { Untranslatable } from "../expression/expression.ts";
import type { MappedTable } from "../map/map-foreign-keys.ts";
import { fittingName } from "../map/names.ts";
import { nameList, quoteName } from "../quote.ts";
import { type SqliteSchema, type SqliteTrigger, sameName } from "../sqlite/schema.ts";
import { isWord, tokensOf } from "../sqlite/tokens.ts";
import { parseTriggerSql, type TriggerSql } from "./parse-trigger.ts";
import { columnOf, type SeenRow, StatementNames } from "./statement-names.ts";
import { translateStatement } from "./translate-statement.ts";

/** What a trigger could be in Postgres. */
export interface TriggerProposal {
  /** Empty where it only feeds indexes of words, which keep themselves up to date there. */
  readonly sql: string;
  /** Nothing of it is left as a comment. */
  readonly isWhole: boolean;
}

export interface ProposalPlace {
  readonly schema: SqliteSchema;
  readonly tables: readonly MappedTable[];
  /** The Postgres schema. */
  readonly target: string;
}

const SEEN: Readonly<Record<TriggerSql["event"], readonly SeenRow[]>> = {
  INSERT: ["new"],
  UPDATE: ["new", "old"],
  DELETE: ["old"],
};

/** A trigger function and its trigger, to be read and run by whoever owns the schema; null for a trigger of a view. */
export function proposeTrigger(
  trigger: SqliteTrigger,
  place: ProposalPlace,
): TriggerProposal | null {
  const fired = tableOf(trigger.table, place.tables);
  if (!fired) return null;
  const parsed = parseTriggerSql(trigger.sql);
  const own = parsed.statements.filter((sql) => !feedsIndex(sql, place.schema));
  if (own.length === 0) return { sql: "", isWhole: true };
  const seen = SEEN[parsed.event];
  const row = parsed.event === "DELETE" ? "OLD" : "NEW";
  const isBefore = parsed.timing === "BEFORE";
  const lines = own.map((sql) =>
    orComment(sql, () =>
      translateStatement(sql, {
        fired,
        seen,
        schema: place.target,
        passedOver: isBefore ? "NULL" : null,
        tableOf: (name) => {
          const found = tableOf(name, place.tables);
          if (!found) throw new Untranslatable(`${name} is no table of this migration`);
          return found;
        },
      }),
    ),
  );
  const condition = conditionOf(parsed, fired, changesItself(own, fired));
  const name = quoteName(fittingName(trigger.name));
  const call = `${quoteName(place.target)}.${name}()`;
  const sql = [
    `CREATE FUNCTION ${call} RETURNS trigger LANGUAGE plpgsql AS $lifeboat$`,
    "BEGIN",
    ...lines.map(({ text }) => text.replaceAll(/^/gm, "  ")),
    `  RETURN ${isBefore ? row : "NULL"};`,
    "END $lifeboat$;",
    `CREATE TRIGGER ${name} ${parsed.timing} ${eventOf(parsed, fired)} ON ${qualified(place.target, fired.target)}`,
    ...condition.text,
    `  FOR EACH ROW${condition.when} EXECUTE FUNCTION ${call};`,
  ];
  return { sql: sql.join("\n"), isWhole: condition.isWhole && lines.every((one) => one.isWhole) };
}

function tableOf(name: string, tables: readonly MappedTable[]): MappedTable | undefined {
  return tables.find(({ table }) => sameName(table.name, name));
}

/** Whether a statement writes to a virtual table. */
function feedsIndex(sql: string, { virtualTables }: SqliteSchema): boolean {
  const target = writtenTable(sql);
  return virtualTables.some(({ name }) => target !== null && sameName(name, target));
}

/** `INSERT OR x INTO t`, `REPLACE INTO t`, `DELETE FROM t`, `UPDATE OR x t`. */
function writtenTable(sql: string): string | null {
  const tokens = tokensOf(sql);
  const before = tokens.findIndex((token) => isWord(token, "INTO") || isWord(token, "FROM"));
  if (isWord(tokens[0], "UPDATE")) return tokens[isWord(tokens[1], "OR") ? 3 : 1]?.text ?? null;
  return isWord(tokens[0], "SELECT") ? null : (tokens[before + 1]?.text ?? null);
}

/** SQLite fires no trigger within itself (recursive_triggers is off), and Postgres does. */
function changesItself(statements: readonly string[], { table }: MappedTable): boolean {
  return statements.some((sql) => sameName(writtenTable(sql) ?? "", table.name));
}

function eventOf({ event, columns }: TriggerSql, fired: MappedTable): string {
  const targets = columns.flatMap((name) => columnOf(fired, name)?.target ?? []);
  return targets.length === 0 ? event : `${event} OF ${nameList(targets)}`;
}

function conditionOf({ when, event }: TriggerSql, fired: MappedTable, isRecursive: boolean) {
  const depth = isRecursive ? ["pg_trigger_depth() = 0"] : [];
  const names = new StatementNames(fired, SEEN[event]);
  const own = when === null ? null : orComment(`WHEN ${when}`, () => names.condition(when));
  const parts = [...depth, ...(own?.isWhole ? [own.text] : [])];
  return {
    when: parts.length === 0 ? "" : ` WHEN (${parts.join(" AND ")})`,
    text: own === null || own.isWhole ? [] : [own.text.replaceAll(/^/gm, "  ")],
    isWhole: own?.isWhole ?? true,
  };
}

function orComment(sql: string, translated: () => string): { text: string; isWhole: boolean } {
  try {
    return { text: translated(), isWhole: true };
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    const text = `left to write (${cause.message}): ${sql}`;
    return { text: text.replaceAll(/^/gm, "-- "), isWhole: false };
  }
}
