import { inOneLine, printable } from "../printable.ts";
import type { Block, Inline, RunbookDocument } from "./document.ts";

/** One page that needs nothing else, and prints well. Its policy forbids scripts and every request. */
export function toHtml({ title, blocks }: RunbookDocument): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${plain(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${plain(title)}</h1>
${blocks.map(blockOf).join("\n")}
</main>
</body>
</html>
`;
}

function blockOf(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `<h${block.level}>${line(block.text)}</h${block.level}>`;
    case "paragraph":
      return `<p>${line(block.text)}</p>`;
    case "notice":
      return `<p class="notice">${line(block.text)}</p>`;
    case "list":
      return listOf(block);
    case "table":
      return tableOf(block);
    case "command":
      return `<pre class="command"><code>${escaped(printable(block.line))}</code></pre>`;
    case "output":
      return `<pre class="output"><code>${escaped(printable(block.text).trimEnd())}</code></pre>`;
  }
}

function listOf({ ordered, items }: Extract<Block, { kind: "list" }>): string {
  const tag = ordered ? "ol" : "ul";
  return `<${tag}>\n${items.map((item) => `<li>${line(item)}</li>\n`).join("")}</${tag}>`;
}

function tableOf({ head, rows }: Extract<Block, { kind: "table" }>): string {
  const row = (cells: readonly string[]) => `<tr>${cells.join("")}</tr>\n`;
  const body = rows.map((cells) => row(cells.map((cell) => `<td>${line(cell)}</td>`)));
  return `<table>\n${row(head.map((cell) => `<th>${plain(cell)}</th>`))}${body.join("")}</table>`;
}

function line(text: readonly Inline[]): string {
  return text
    .map((part) => (typeof part === "string" ? plain(part) : `<code>${plain(part.code)}</code>`))
    .join("");
}

function plain(text: string): string {
  return escaped(inOneLine(text));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => ENTITIES[mark] as string);
}

const STYLE = `
body { margin: 0; color: #1a1a1a; background: #fff; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem; }
h1 { line-height: 1.2; }
h2 { margin-top: 2.2rem; border-bottom: 2px solid #1a1a1a; break-after: avoid; }
h3 { margin-bottom: .3rem; break-after: avoid; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .3rem .5rem; text-align: left; vertical-align: top; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
pre { padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.command { border: 2px solid #1a1a1a; background: #f3f3f3; break-inside: avoid; }
pre.output { border-left: 4px solid #bbb; color: #333; }
.notice { border: 2px solid #a00; padding: .6rem .8rem; font-weight: 600; break-inside: avoid; }
`;
