import { LifeboatError } from "@lifeboat/core";
import { mergeProfiles } from "../column-profile.ts";
import { canonicalType, declaredType } from "../declared.ts";
import type { Choice } from "../finding.ts";
import type { SqliteColumn, SqliteTable } from "../sqlite/schema.ts";
import { sameName } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";
import { type ColumnFacts, decideType, type Mapping, provenWays } from "./decide-type.ts";
import { likeOthers } from "./empty-instants.ts";
import { type ColumnId, columnId, keyGroups } from "./key-groups.ts";

interface Member {
  readonly table: SqliteTable;
  readonly column: SqliteColumn;
  readonly facts: ColumnFacts;
  readonly choice: Choice;
}

/**
 * The type and codec of every column, null where nothing holds its values faithfully. Columns that
 * foreign keys tie together are decided as one, so that both ends of a key get the same type.
 */
export function chooseTypes(context: MapContext): ReadonlyMap<ColumnId, Mapping | null> {
  const members = new Map<ColumnId, Member>();
  for (const table of context.tables)
    for (const column of table.columns)
      members.set(columnId(table.name, column.name), memberOf(context, table, column));
  const groups = keyGroups(context.source.schema);
  const chosen = new Map<ColumnId, Mapping | null>();
  for (const [id, member] of members) {
    if (chosen.has(id)) continue;
    const group = (groups.get(id) ?? [id]).filter((one) => members.has(one));
    const together = group.length > 1 ? chooseTogether(group, members) : null;
    if (together) assertAsked(together, members);
    for (const [one, mapping] of together ?? [[id, chooseAlone(member)] as const])
      chosen.set(one, mapping);
  }
  const free = [...members].filter(([id, { facts }]) => facts.wish === null && !groups.has(id));
  return new Map([...chosen, ...emptyInstants(free, chosen)]);
}

/** Those that no choice decides. */
function emptyInstants(
  free: readonly (readonly [ColumnId, Member])[],
  chosen: ReadonlyMap<ColumnId, Mapping | null>,
): [ColumnId, Mapping][] {
  const columns = free.map(([id, { facts, choice }]) => {
    const isAsked = choice.type !== undefined || choice.codec !== undefined;
    return { ...facts, id, isAsked, mapping: chosen.get(id) ?? null };
  });
  return columns.flatMap((one) => {
    const mapping = one.isAsked ? null : likeOthers(one, columns);
    return mapping === null ? [] : [[one.id, mapping] as [ColumnId, Mapping]];
  });
}

function memberOf(context: MapContext, table: SqliteTable, column: SqliteColumn): Member {
  const profile = context.profile(table).columns.get(column.name);
  if (!profile) throw new Error(`column ${table.name}.${column.name} was not profiled`);
  return {
    table,
    column,
    choice: context.choice(table.name, column.name, "type", "codec", "nullable"),
    facts: {
      profile,
      affinity: column.affinity,
      declaredType: column.declaredType,
      defaultSql: column.defaultSql,
      wish: declaredType(context.wishes, table.name, column.name),
      indexed: isIndexed(table, column),
    },
  };
}

function isIndexed(table: SqliteTable, column: SqliteColumn): boolean {
  const keyed = [...table.primaryKey, ...table.foreignKeys.flatMap((key) => key.columns)];
  const indexed = table.indexes.flatMap((index) =>
    index.columns.flatMap((term) => (term.column === null ? [] : [term.column])),
  );
  return [...keyed, ...indexed].some((name) => sameName(name, column.name));
}

function chooseAlone({ facts, choice, table, column }: Member): Mapping | null {
  if (choice.type === undefined && choice.codec === undefined) return decideType(facts);
  const [first] = provenWays(facts, wantedOf(choice)).filter(
    (way) => choice.codec !== undefined || way.codec !== "tagged",
  );
  if (first) return first;
  throw new LifeboatError({
    code: "CHOICE_IMPOSSIBLE",
    kind: "usage",
    message: `the values of ${table.name}.${column.name} do not come back from ${choice.type ?? "any type"}${choice.codec ? ` by ${choice.codec}` : ""}, as migrate.columns asks for`,
    remedy: "see the choices of its finding in `lifeboat migrate plan --json`",
    details: { table: table.name, column: column.name, ...choice },
  });
}

function wantedOf(choice: Choice): Partial<Mapping> {
  return {
    ...(choice.type === undefined ? {} : { type: canonicalType(choice.type) }),
    ...(choice.codec === undefined ? {} : { codec: choice.codec }),
  };
}

/** Two choices for one key may ask for what only one of them can have. */
function assertAsked(
  together: ReadonlyMap<ColumnId, Mapping>,
  members: ReadonlyMap<ColumnId, Member>,
): void {
  for (const [id, mapping] of together) {
    const { choice, table, column } = members.get(id) as Member;
    const wanted = wantedOf(choice);
    const given = (wanted.type ?? mapping.type) === mapping.type;
    if (given && (wanted.codec ?? mapping.codec) === mapping.codec) continue;
    throw new LifeboatError({
      code: "CHOICE_IMPOSSIBLE",
      kind: "usage",
      message: `${table.name}.${column.name} can't be ${choice.type ?? choice.codec}, as migrate.columns asks for, while the key that it belongs to is ${mapping.type} by ${mapping.codec}`,
      remedy: "give all columns of the key the same choice, or only one of them any",
      details: { table: table.name, column: column.name, ...choice },
    });
  }
}

/** One type for all columns of a group, or null when there is none: each then decides for itself. */
function chooseTogether(
  group: readonly ColumnId[],
  members: ReadonlyMap<ColumnId, Member>,
): ReadonlyMap<ColumnId, Mapping> | null {
  const all = group.flatMap((id) => members.get(id) ?? []);
  const wanted = sharedWish(all);
  const merged = decideType({ ...wanted, indexed: true });
  const asked = all.find((one) => one.choice.type !== undefined || one.choice.codec !== undefined);
  const mapping = asked ? chooseAlone(asked) : merged;
  const same = mapping && mappingForAll(group, members, mapping);
  if (same) return same;
  // Texts that spell integers, referring to integers, can be those integers.
  return mappingForAll(group, members, { type: "bigint", codec: "integer" });
}

/** The facts of all members as if they were one column, led by the one that declares most. */
function sharedWish(all: readonly Member[]): ColumnFacts {
  const [first, ...rest] = all.toSorted((a, b) => rank(b) - rank(a)) as [Member, ...Member[]];
  const profile = rest.reduce(
    (sum, one) => mergeProfiles(sum, one.facts.profile),
    first.facts.profile,
  );
  return { ...first.facts, profile };
}

function rank({ facts, table, column }: Member): number {
  const primary = table.primaryKey.some((name) => sameName(name, column.name));
  return (facts.wish === null ? 0 : 2) + (primary ? 1 : 0);
}

function mappingForAll(
  group: readonly ColumnId[],
  members: ReadonlyMap<ColumnId, Member>,
  mapping: Mapping,
): ReadonlyMap<ColumnId, Mapping> | null {
  const result = new Map<ColumnId, Mapping>();
  for (const id of group) {
    const member = members.get(id);
    if (!member) continue;
    const facts = { ...member.facts, indexed: true };
    const way = provenWays(facts, mapping)[0] ?? integerText(facts, mapping);
    if (!way) return null;
    result.set(id, way);
  }
  return result;
}

function integerText(facts: ColumnFacts, mapping: Mapping): Mapping | undefined {
  if (mapping.type !== "bigint") return undefined;
  return provenWays(facts, { type: "bigint", codec: "integer-text" })[0];
}
