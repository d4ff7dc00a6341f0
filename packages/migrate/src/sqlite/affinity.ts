import type { Affinity } from "./schema.ts";

/** Column affinity by the five rules of the SQLite manual, "Datatypes In SQLite", section 3.1. */
export function affinityOf(declaredType: string, strict: boolean): Affinity {
  const type = declaredType.toUpperCase();
  // In a STRICT table ANY keeps what it is given; elsewhere the word has NUMERIC affinity.
  if (strict && type === "ANY") return "BLOB";
  if (type.includes("INT")) return "INTEGER";
  if (/CHAR|CLOB|TEXT/.test(type)) return "TEXT";
  if (type === "" || type.includes("BLOB")) return "BLOB";
  if (/REAL|FLOA|DOUB/.test(type)) return "REAL";
  return "NUMERIC";
}
