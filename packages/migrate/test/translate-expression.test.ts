import { describe, expect, it } from "vitest";
import { Untranslatable } from "../src/expression/expression.ts";
import { parseExpression } from "../src/expression/parse-expression.ts";
import { globToRegex } from "../src/expression/patterns.ts";
import { type Scope, translate } from "../src/expression/translate-expression.ts";
import type { ValueType } from "../src/expression/translated.ts";

const TYPES: Readonly<Record<string, [ValueType, string]>> = {
  n: ["integer", "BINARY"],
  r: ["real", "BINARY"],
  either: ["number", "BINARY"],
  t: ["text", "BINARY"],
  folded: ["text", "NOCASE"],
  ok: ["boolean", "BINARY"],
  j: ["json", "BINARY"],
  moved: ["opaque", "BINARY"],
};
const scope: Scope = (_, name) => {
  const found = TYPES[name];
  return found
    ? { sql: `"${name}"`, type: found[0], collation: found[1], collatedBy: "column" }
    : null;
};
const inPostgres = (sql: string) => translate(parseExpression(sql), scope).sql;

describe("an expression", () => {
  it.each([
    ["n > 0 AND n <= 9 OR NOT ok", `((("n" > 0::bigint) AND ("n" <= 9::bigint)) OR (NOT "ok"))`],
    ["ok = 1", `(("ok")::int::bigint = 1::bigint)`],
    ["n", `"n"`],
    ["t || '-' || n", `(("t" || '-'::text) || ("n")::text)`],
    ["t == 'a'", `("t" COLLATE "C" = 'a'::text COLLATE "C")`],
    [
      "folded IN ('A', 'b')",
      `((lower("folded" COLLATE "C") = lower('A'::text COLLATE "C")) OR (lower("folded" COLLATE "C") = lower('b'::text COLLATE "C")))`,
    ],
    [`t <> "a word"`, `("t" COLLATE "C" <> 'a word'::text COLLATE "C")`],
    ["t IS NOT NULL", `("t" IS NOT NULL)`],
    ["moved NOTNULL", `("moved" IS NOT NULL)`],
    ["n IS TRUE", `(("n" <> 0) IS true)`],
    ["r IS NOT FALSE", `(("r" <> 0) IS NOT false)`],
    ["n IS DISTINCT FROM TRUE", `(("n" <> 0) IS NOT true)`],
    ["n = TRUE", `("n" = (true)::int::bigint)`],
    [
      "either - 1 > n * either",
      `(("either" - 1::bigint::double precision) > ("n"::double precision * "either"))`,
    ],
    [
      "CAST(coalesce(either, 0.5) AS INTEGER)",
      `(trunc(coalesce("either", 0.5::double precision))::bigint)`,
    ],
    ["t IS NOT 'x'", `("t" COLLATE "C" IS DISTINCT FROM 'x'::text COLLATE "C")`],
    ["n BETWEEN 1 AND 2 + 3", `(("n" >= 1::bigint) AND ("n" <= (2::bigint + 3::bigint)))`],
    ["json_valid(j)", `(CASE WHEN "j" IS NOT NULL THEN true END)`],
    [
      "CAST(ROUND(r * 100) AS INTEGER)",
      `(trunc((CASE WHEN abs(("r" * 100::bigint::double precision)) < 4503599627370496 THEN trunc(("r" * 100::bigint::double precision) + sign(("r" * 100::bigint::double precision)) * 0.5) ELSE ("r" * 100::bigint::double precision) END))::bigint)`,
    ],
    [
      "CASE n WHEN 1 THEN 'one' ELSE t END",
      `(CASE WHEN ("n" = 1::bigint) THEN 'one'::text ELSE "t" END)`,
    ],
    [
      "typeof(n) = 'integer'",
      `((CASE WHEN "n" IS NULL THEN 'null' ELSE 'integer' END) COLLATE "C" = 'integer'::text COLLATE "C")`,
    ],
    ["t NOT NULL", `("t" IS NOT NULL)`],
    ["n < 9223372036854775808", `("n" < 9223372036854775808::double precision)`],
    ["n = 0xFFFFFFFFFFFFFFFF", `("n" = -1::bigint)`],
    ["n IN ()", "false"],
    ["n NOT IN ()", "true"],
    // The list's own collations are of no account.
    ["'a' IN (folded)", `(('a'::text COLLATE "C" = "folded" COLLATE "C"))`],
    ["round(n)", `"n"::double precision`],
    ["t = 'a' COLLATE RTRIM", `(rtrim("t" COLLATE "C", ' ') = rtrim('a'::text COLLATE "C", ' '))`],
    ["count(DISTINCT n)", `count(DISTINCT "n")`],
    ["count(folded)", `count("folded")`],
    ["total(r)", `coalesce(sum("r"::double precision), 0)`],
    ["sum(n)", `(sum("n")::bigint)`],
    ["t LIKE 'A%'", `(lower("t" COLLATE "C") LIKE 'a%' ESCAPE '')`],
    ["t NOT GLOB '[a-z]*'", `(NOT ("t" COLLATE "C" ~ '^[a-z].*$'))`],
  ])("%s keeps its meaning", (sql, wanted) => {
    expect(inPostgres(sql)).toBe(wanted);
  });

  it.each([
    "t = 5",
    "n = '5'",
    "n / 2",
    "n % 2",
    "r || ''",
    "coalesce(n, t)",
    "j = '{}'",
    "j = j",
    "count(*) OVER ()",
    "count(n) FILTER (WHERE n > 1)",
    "moved > 'a'",
    "length(moved)",
    "typeof(ok)",
    "typeof(either)",
    "typeof(-either + n)",
    "typeof(coalesce(r, either))",
    "coalesce(n, either)",
    "~either",
    "either || ''",
    "t IS TRUE",
    "date(t)",
    "t LIKE n",
    "EXISTS (SELECT 1)",
    "n IN (SELECT 1)",
    "t AND n",
    "unknown_column",
    "t = 'a' COLLATE UNICODE_OF_THE_APP",
    "min(n, 5)",
    "substr(t, -1)",
    "substr(t, 0)",
    "replace(t, '', 'x')",
    "round(r, 2)",
    "nullif(folded, 'a')",
    "nullif(t, folded)",
    "json_valid(t)",
    "count(DISTINCT folded)",
    "n & 3",
    "j ->> 'a'",
    "constructor(t)",
  ])("%s is left alone, since Postgres would mean something else", (sql) => {
    expect(() => inPostgres(sql)).toThrow(Untranslatable);
  });

  it("turns GLOB's signs into a regular expression's", () => {
    expect(globToRegex("a.b?c*[^]x-z][+]")).toBe("^a\\.b.c.*[^\\]x-z][+]$");
  });
});
