import { inOneLine } from "../printable.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
}

/** A table in plain text: a heading, then rows, columns two blanks apart. Ends with a line break. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(inOneLine));
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((row) => (row[at] ?? "").length)),
  );
  const lineOf = (row: readonly string[]) =>
    columns
      .map(({ right }, at) => {
        const [cell, width] = [row[at] ?? "", widths[at] ?? 0];
        return right ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [columns.map(({ title }) => title), ...cells].map((row) => `${lineOf(row)}\n`).join("");
}

/** Facts one below the other, the names in a column. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${inOneLine(value)}\n`).join("");
}
