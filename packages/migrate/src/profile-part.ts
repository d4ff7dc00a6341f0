import type { Database } from "better-sqlite3";
import { type ColumnProfile, EMPTY_PROFILE } from "./column-profile.ts";
import { firstShapes, type Part } from "./first-shapes.ts";
import { quoteName } from "./quote.ts";
import {
  brokenTest,
  escapeTest,
  harmlessTest,
  integerTextTest,
  nulTest,
  numberLikeTest,
  realTextTest,
  SHAPES,
} from "./text-shape.ts";

/** Counts of up to 2^20 rows are packed three into one integer, so that each value is looked at once. */
export const MAX_PART_ROWS = 500_000;
const FIELD = 2n ** 20n;

/** The shapes that no text of a column has contradicted yet, by column name. */
export type OpenShapes = Map<string, Set<string>>;

interface Asked {
  readonly sql: string;
  read(value: number | bigint | null, into: Draft): void;
}

type Draft = { -readonly [K in keyof ColumnProfile]: ColumnProfile[K] };

/**
 * Profiles the columns of some rows in two looks: first the classes, then only those questions that
 * the classes leave open.
 */
export function profilePart(
  db: Database,
  part: Part,
  columns: readonly string[],
  open: OpenShapes,
): { rows: number; columns: Map<string, ColumnProfile> } {
  const drafts = new Map(columns.map((name) => [name, { ...EMPTY_PROFILE } as Draft]));
  const rows = askAll(db, part, drafts, (name) => classQuestions(quoteName(name)));
  for (const draft of drafts.values())
    draft.nulls = rows - draft.integers - draft.reals - draft.texts - draft.blobs;
  askAll(db, part, drafts, (name, draft) => {
    const shapes = draft.texts > 0 ? (open.get(name) ?? firstShapes(db, part, name)) : [];
    return detailQuestions(quoteName(name), draft, shapes);
  });
  for (const [name, draft] of drafts) if (draft.texts > 0) open.set(name, new Set(draft.shapes));
  return { rows, columns: drafts };
}

function askAll(
  db: Database,
  part: Part,
  drafts: ReadonlyMap<string, Draft>,
  questionsOf: (name: string, draft: Draft) => readonly Asked[],
): number {
  const asked = [...drafts].flatMap(([name, draft]) =>
    questionsOf(name, draft).map((question) => ({ draft, question })),
  );
  const select = ["count(*)", ...asked.map(({ question }) => question.sql)].join(", ");
  const row = db
    .prepare(`SELECT ${select} FROM ${part.from}`)
    .raw()
    .get(...part.values) as (number | bigint | null)[];
  asked.forEach(({ draft, question }, index) => {
    question.read(row[index + 1] ?? null, draft);
  });
  return Number(row[0]);
}

function classQuestions(c: string): Asked[] {
  return [
    packed(
      `CASE typeof(${c}) WHEN 'integer' THEN 1 WHEN 'text' THEN ${FIELD} WHEN 'real' THEN ${FIELD ** 2n} ELSE 0 END`,
      (draft, [integers, texts, reals]) => Object.assign(draft, { integers, texts, reals }),
    ),
    {
      sql: `count(${c})`,
      read: (value, draft) => {
        draft.blobs = Number(value) - draft.integers - draft.texts - draft.reals;
      },
    },
    // Numbers sort before texts and BLOBs: the least is an integer's wherever only integers are.
    limit(`min(${c})`, "minInteger"),
    limit(`max(${c})`, "maxInteger"),
  ];
}

function limit(sql: string, key: "minInteger" | "maxInteger"): Asked {
  return {
    sql,
    read: (value, draft) => {
      draft[key] = typeof value === "bigint" ? value : null;
    },
  };
}

function detailQuestions(c: string, draft: Draft, open: Iterable<string>): Asked[] {
  return [
    ...(draft.reals > 0 ? realQuestions(c, draft) : []),
    ...(draft.texts + draft.blobs > 0 ? sizeQuestions(c, draft) : []),
    ...(draft.texts > 0 ? textQuestions(c, draft, open) : []),
  ];
}

function realQuestions(c: string, draft: Draft): Asked[] {
  const ofReals = (test: string) => `CASE WHEN typeof(${c}) = 'real' THEN ${test} ELSE 0 END`;
  const integers = `CASE WHEN typeof(${c}) = 'integer' THEN ${c} END`;
  return [
    packed(
      ofReals(
        `(${c} IN (9e999, -9e999)) * ${FIELD} + (${c} NOT IN (9e999, -9e999) AND floor(${c}) = ${c})`,
      ),
      (into, [wholeReals, infinities]) => Object.assign(into, { wholeReals, infinities }),
    ),
    ...(draft.integers > 0
      ? [limit(`min(${integers})`, "minInteger"), limit(`max(${integers})`, "maxInteger")]
      : []),
  ];
}

function sizeQuestions(c: string, draft: Draft): Asked[] {
  const plain = draft.integers + draft.reals === 0;
  const length = plain
    ? `octet_length(${c})`
    : `CASE WHEN typeof(${c}) IN ('text', 'blob') THEN octet_length(${c}) END`;
  const read = (key: "bytes" | "maxBytes") => (value: number | bigint | null, into: Draft) => {
    into[key] = Number(value ?? 0);
  };
  return [
    { sql: `total(${length})`, read: read("bytes") },
    { sql: `max(${length})`, read: read("maxBytes") },
  ];
}

function textQuestions(c: string, draft: Draft, open: Iterable<string>): Asked[] {
  const others = draft.integers + draft.reals + draft.blobs;
  const isText = others === 0 ? `${c} IS NOT NULL` : `typeof(${c}) = 'text'`;
  const ofTexts = (sql: string) => `CASE WHEN ${isText} THEN ${sql} ELSE 0 END`;
  const faults = `(${nulTest(c)}) + (${brokenTest(c)}) * ${FIELD} + (${escapeTest(c)}) * ${FIELD ** 2n}`;
  const numbers = `CASE WHEN ${numberLikeTest(c)} THEN (${integerTextTest(c)}) + (${realTextTest(c)}) * ${FIELD} ELSE 0 END`;
  draft.shapes = new Set();
  return [
    packed(
      ofTexts(`CASE WHEN ${harmlessTest(c)} THEN 0 ELSE ${faults} END`),
      (into, [nulTexts, brokenTexts, escapeTexts]) =>
        Object.assign(into, { nulTexts, brokenTexts, escapeTexts }),
    ),
    packed(ofTexts(numbers), (into, [integerTexts, realTexts]) =>
      Object.assign(into, { integerTexts, realTexts }),
    ),
    ...[...open].map((shape) => shapeQuestion(shape, ofTexts(`(${SHAPES.get(shape)?.(c)})`))),
  ];
}

function shapeQuestion(shape: string, sql: string): Asked {
  return {
    sql: `total(${sql})`,
    read: (value, draft) => {
      if (Number(value) === draft.texts) draft.shapes = new Set([...draft.shapes, shape]);
    },
  };
}

/** Reads a sum that holds three counts. */
function packed(sql: string, read: (draft: Draft, counts: readonly number[]) => void): Asked {
  return {
    sql: `sum(${sql})`,
    read: (value, draft) => {
      const sum = BigInt(value ?? 0);
      read(draft, [sum % FIELD, (sum / FIELD) % FIELD, sum / FIELD ** 2n].map(Number));
    },
  };
}
