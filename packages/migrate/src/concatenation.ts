/** SQLite takes expressions up to 1,000 levels deep, and each operator of a chain is one of them. */
const CHAIN = 100;

/** SQL, for both databases, that joins any number of texts, or of byte strings. */
export function concatenation(parts: readonly string[]): string {
  return chained(parts, " || ");
}

/** SQL, for both databases, that joins any number of operands by an associative operator. */
export function chained(parts: readonly string[], operator: string): string {
  if (parts.length <= CHAIN) return parts.join(operator);
  const groups: string[] = [];
  for (let first = 0; first < parts.length; first += CHAIN)
    groups.push(`(${parts.slice(first, first + CHAIN).join(operator)})`);
  return chained(groups, operator);
}
