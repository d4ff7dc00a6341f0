import { inOneLine, printable } from "../printable.ts";
import type { Block, Inline, RunbookDocument } from "./document.ts";

/** CommonMark with tables (GFM). No text of the document can become markup: all of its marks are escaped. */
export function toMarkdown({ title, blocks }: RunbookDocument): string {
  return [`# ${plain(title)}`, ...blocks.map(blockOf)].map((text) => `${text}\n`).join("\n");
}

function blockOf(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${line(block.text)}`;
    case "paragraph":
      return atStart(line(block.text));
    case "notice":
      return `> **${line(block.text)}**`;
    case "list":
      return block.items
        .map((item, at) => `${block.ordered ? `${at + 1}.` : "-"} ${atStart(line(item))}`)
        .join("\n");
    case "table":
      return tableOf(block);
    case "command":
      return fenced("sh", block.line);
    case "output":
      return fenced("text", block.text);
  }
}

function tableOf({ head, rows }: Extract<Block, { kind: "table" }>): string {
  const lines = [
    head.map(plain),
    head.map(() => "---"),
    // Tables are split at `|` before code is read, so that it is escaped there too.
    ...rows.map((row) => row.map((cell) => line(cell, (text) => text.replaceAll("|", "\\|")))),
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function line(text: readonly Inline[], inCode = (code: string) => code): string {
  return text
    .map((part) => (typeof part === "string" ? plain(part) : inCode(span(part.code))))
    .join("");
}

/** Marks of CommonMark and GFM: each may be escaped by a backslash, and is then itself. */
const MARKS = /[\\`*_{}[\]<>#|~&!$]|(?<=https?|ftp):|(?<=www)\./gi;

function plain(text: string): string {
  return inOneLine(text).replace(MARKS, "\\$&");
}

/** What would begin a list or a heading, were it the first of its line. */
function atStart(text: string): string {
  return text.replace(/^([-+=]|\d+[.)])/, (mark) => `${mark.slice(0, -1)}\\${mark.slice(-1)}`);
}

/** Longer marks around it than any run within. Blanks at its ends hold backticks there apart. */
function span(text: string): string {
  const inner = inOneLine(text);
  const mark = "`".repeat(longestRun(inner) + 1);
  const apart = inner.startsWith("`") || inner.endsWith("`") || inner === "" ? " " : "";
  return `${mark}${apart}${inner}${apart}${mark}`;
}

function fenced(language: string, text: string): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${printable(text).trimEnd()}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
