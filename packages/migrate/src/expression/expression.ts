/** A SQLite expression, as far as it can be carried over to Postgres. */
export type Expression =
  | {
      readonly kind: "literal";
      readonly type: "integer" | "real" | "text" | "blob" | "null" | "boolean";
      readonly value: string;
    }
  | {
      readonly kind: "column";
      readonly qualifier: string | null;
      readonly name: string;
      /** Written in double quotes: a string, where no column bears the name. */
      readonly quoted: boolean;
    }
  | {
      readonly kind: "unary";
      readonly operator: "-" | "+" | "~" | "NOT";
      readonly operand: Expression;
    }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "in";
      readonly operand: Expression;
      readonly list: readonly Expression[];
      readonly negated: boolean;
    }
  | {
      readonly kind: "between";
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
    }
  | { readonly kind: "is-null"; readonly operand: Expression; readonly negated: boolean }
  | {
      readonly kind: "pattern";
      readonly operator: "LIKE" | "GLOB";
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: "case";
      readonly operand: Expression | null;
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[];
      readonly otherwise: Expression | null;
    }
  | { readonly kind: "cast"; readonly operand: Expression; readonly type: string }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly arguments: readonly Expression[];
      readonly star: boolean;
      readonly distinct: boolean;
    }
  | { readonly kind: "collate"; readonly operand: Expression; readonly collation: string };

/** What this package has no translation for. Caught where a finding is made of it; never shown as a defect. */
export class Untranslatable extends Error {
  override readonly name = "Untranslatable";
}
