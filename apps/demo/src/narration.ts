import { styleText } from "node:util";

/** What the reader sees: plain lines, with emphasis only on a terminal. */
function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A scene begins. */
export function heading(text: string): void {
  print(`\n${styleText("bold", text)}`);
}

/** A command line that is run, as a reader may type it. */
export function commandLine(words: readonly string[]): void {
  print(styleText("cyan", `  $ ${words.map(shellWord).join(" ")}`));
}

export function line(text: string): void {
  print(`    ${text}`);
}

export function blank(): void {
  print("");
}

/** Why the show ended badly, on standard error. */
export function misfortune(text: string): void {
  process.stderr.write(`\n${styleText("red", text, { stream: process.stderr })}\n`);
}

/** A table with a line of headings; columns as wide as their widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const laidOut = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  print(`  ${styleText("bold", laidOut(headings))}`);
  for (const row of rows) print(`  ${laidOut(row)}`);
}

/** Bytes as people read them: `12.3 MB`. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** Seconds as people read them: `0.4 s`. */
export function duration(seconds: number): string {
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
