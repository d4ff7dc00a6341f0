/** An identifier between double quotes; both databases read it the same. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal. With `standard_conforming_strings` (always on here) both databases read it the same. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `"a", "b"`. */
export function nameList(names: readonly string[]): string {
  return names.map(quoteName).join(", ");
}
