/**
 * A runbook before it is Markdown or HTML. What comes from outside (paths, names, checks, records) stands in it as plain
 * text or as code, and each renderer escapes both by the rules of its format: no name can become markup.
 */
export interface RunbookDocument {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** Plain text, or code. */
export type Inline = string | { readonly code: string };

export type Block =
  | { readonly kind: "heading"; readonly level: 2 | 3; readonly text: readonly Inline[] }
  | { readonly kind: "paragraph"; readonly text: readonly Inline[] }
  /** What whoever is in a hurry must not overlook. */
  | { readonly kind: "notice"; readonly text: readonly Inline[] }
  | {
      readonly kind: "list";
      readonly ordered: boolean;
      readonly items: readonly (readonly Inline[])[];
    }
  | {
      readonly kind: "table";
      readonly head: readonly string[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  /** What is typed, word by word. */
  | { readonly kind: "command"; readonly line: string }
  /** What is printed then, or the content of a file. */
  | { readonly kind: "output"; readonly text: string };

/** Text with values in it: ``say`restore ${path}` ``. Values stay plain text; `code` marks some as code. */
export function say(texts: TemplateStringsArray, ...values: readonly Inline[]): readonly Inline[] {
  return texts.flatMap((text, at) => {
    const value = values[at];
    return value === undefined ? words(text) : [...words(text), value];
  });
}

/** Text of ours, in which backticks mark code. */
export function words(text: string): readonly Inline[] {
  return text
    .split("`")
    .map((part, at) => (at % 2 === 0 ? part : { code: part }))
    .filter((part) => part !== "");
}

export function code(text: string): Inline {
  return { code: text };
}

export function heading(text: string, level: 2 | 3 = 2): Block {
  return { kind: "heading", level, text: [text] };
}

export function paragraph(text: readonly Inline[]): Block {
  return { kind: "paragraph", text };
}

export function notice(text: readonly Inline[]): Block {
  return { kind: "notice", text };
}

export function list(items: readonly (readonly Inline[])[], ordered = false): Block {
  return { kind: "list", ordered, items };
}

export function command(line: string): Block {
  return { kind: "command", line };
}

export function output(text: string): Block {
  return { kind: "output", text };
}

export function table(
  head: readonly string[],
  rows: readonly (readonly (readonly Inline[])[])[],
): Block {
  return { kind: "table", head, rows };
}
