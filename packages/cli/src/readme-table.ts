import { optionFlag } from "./option-flag.ts";
import { helpOf } from "./program.ts";
import { NOT_BUILT } from "./verb/not-built.ts";
import type { Verb } from "./verb.ts";
import type { VerbOption } from "./verb-option.ts";

/** The README's table of verbs and options, from the same definitions as the help. */
export function readmeTable(verbs: readonly Verb[], global: readonly VerbOption[]): string {
  const rows = verbs.map(
    (verb) => `| \`${nameOf(verb)}\` | ${verb.summary} | ${optionsOf(verb.options)} |`,
  );
  const later = [...NOT_BUILT.map(({ name }) => name), ...verbs.flatMap(optionsNotBuilt)];
  return [
    "| verb | what it does | options |",
    "| --- | --- | --- |",
    ...rows,
    `| every verb | | ${optionsOf(global)} |`,
    "",
    `Known and refused until they are built: ${later.map((name) => `\`${name}\``).join(", ")}.`,
  ].join("\n");
}

function nameOf({ name, arguments: words = [] }: Verb): string {
  return [name, ...words.map((word) => word.name)].join(" ");
}

function optionsOf(options: readonly VerbOption[]): string {
  return options
    .filter(({ notBuilt }) => notBuilt !== true)
    .map((option) => `\`${option.flags}\` ${escaped(helpOf(option))}`)
    .join("<br>");
}

function optionsNotBuilt({ name, options }: Verb): string[] {
  return options
    .filter(({ notBuilt }) => notBuilt === true)
    .map(({ flags }) => `${name} ${optionFlag(flags).long}`);
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}
