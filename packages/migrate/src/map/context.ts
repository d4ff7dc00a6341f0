import type { DeclaredTable } from "../declared.ts";
import type { Choice, Choices, MigrationFinding } from "../finding.ts";
import { choiceKey } from "../finding.ts";
import type { TableProfile } from "../profile.ts";
import { quoteName } from "../quote.ts";
import type { PlanSource } from "../source.ts";
import { foldName, type SqliteTable } from "../sqlite/schema.ts";
import type { NameSpace } from "./names.ts";

/** What the mapping steps share: the source, what was found in it, the answers, and the findings so far. */
export class MapContext {
  readonly source: PlanSource;
  readonly profiles: ReadonlyMap<string, TableProfile>;
  readonly wishes: readonly DeclaredTable[] | undefined;
  readonly schema: string;
  readonly names: NameSpace;
  readonly findings: MigrationFinding[] = [];
  readonly #choices: Choices;
  /** Every key under which an answer means something, with the parts of it that do. */
  readonly knownKeys = new Map<string, Set<keyof Choice>>();

  constructor(init: {
    source: PlanSource;
    profiles: ReadonlyMap<string, TableProfile>;
    wishes: readonly DeclaredTable[] | undefined;
    choices: Choices;
    schema: string;
    names: NameSpace;
  }) {
    this.source = init.source;
    this.profiles = init.profiles;
    this.wishes = init.wishes;
    this.schema = init.schema;
    this.names = init.names;
    this.#choices = init.choices;
  }

  /** The tables that go over: those that can be read and that no choice leaves out. */
  get tables(): readonly SqliteTable[] {
    return this.source.schema.tables.filter(
      (table) =>
        this.choice(table.name, null, "table").table !== "skip" &&
        this.profiles.has(foldName(table.name)),
    );
  }

  /** @param parts what is asked of it: any other part of an answer there is a slip */
  choice(table: string, subject: string | null, ...parts: (keyof Choice)[]): Choice {
    const key = choiceKey(table, subject);
    const known = this.knownKeys.get(key) ?? new Set();
    this.knownKeys.set(key, known);
    for (const part of parts) known.add(part);
    return this.#choices[key] ?? {};
  }

  /** What answers it holds what is answered already under that key: one entry takes the place of the other. */
  add(finding: MigrationFinding): void {
    const { table, column } = finding;
    const given = (table !== null && this.#choices[choiceKey(table, column)]) || {};
    const choices = finding.choices.map((choice) => withGiven(given, choice));
    this.findings.push({ ...finding, choices });
  }

  profile(table: SqliteTable): TableProfile {
    const profile = this.profiles.get(foldName(table.name));
    if (!profile) throw new Error(`table ${table.name} was not profiled`);
    return profile;
  }

  /**
   * The keys of a few rows for which a condition holds, never their content.
   * @param alias by which the condition may name the table, in place of the table's own name
   */
  sample(table: SqliteTable, condition: string, alias = table.name): string[] {
    const key = table.primaryKey.length > 0 && !table.rowid ? table.primaryKey : [];
    const columns = key.length > 0 ? key.map(quoteName) : [quoteName(table.rowid ?? "rowid")];
    return this.source.db
      .prepare(
        `SELECT ${columns.join(", ")} FROM ${quoteName(table.name)} AS ${quoteName(alias)} WHERE ${condition} LIMIT 5`,
      )
      .raw()
      .all()
      .map((row) => (row as unknown[]).map(String).join(", "));
  }

  count(sql: string): number {
    return Number(this.source.db.prepare(sql).pluck().get() ?? 0);
  }
}

/** Type and codec of a column are one answer. */
function withGiven({ type, codec, ...others }: Choice, choice: Choice): Choice {
  if (choice.table) return choice;
  const mapping = { ...(type !== undefined && { type }), ...(codec !== undefined && { codec }) };
  const isMapped = choice.type !== undefined || choice.codec !== undefined;
  return { ...(isMapped ? {} : mapping), ...others, ...choice };
}
