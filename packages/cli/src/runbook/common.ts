import type { DescribedStep } from "@lifeboat/core";
import { VERSION } from "@lifeboat/core/version";
import {
  type Block,
  code,
  heading,
  type Inline,
  list,
  paragraph,
  say,
  table,
  words,
} from "./document.ts";
import type { RunbookFacts } from "./facts.ts";

/** What was true when it was rendered, and lines to fill in by hand. */
export function preamble(facts: RunbookFacts): Block[] {
  const { host, renderedAt, list: found } = facts;
  const when = renderedAt.toISOString();
  return [
    paragraph(
      say`Rendered on ${code(host)} at ${when} by Lifeboat ${VERSION} from the steps that the command itself runs, with what its repository held then. Render it again after each change of the installation. It holds no password.`,
    ),
    ...(found === null
      ? [
          paragraph(
            say`There is no repository in ${code(facts.repository)} yet: ${code(`${facts.command} backup`)} makes it. Until then sizes and durations are unknown.`,
          ),
        ]
      : []),
    table(
      ["", "fill in by hand"],
      [
        [["decides"], [""]],
        [["types"], [""]],
        [["began at (UTC)"], [""]],
        [["ended at (UTC), with which result"], [""]],
      ],
    ),
  ];
}

/** Facts of this installation, one a row. */
export function factsTable(rows: readonly (readonly [string, readonly Inline[]])[]): Block {
  return table(
    ["what", "here"],
    rows.map(([name, value]) => [[name], value]),
  );
}

/** How the command is found, and by whom. */
export function howToType(facts: RunbookFacts): Block[] {
  const { commandByPath, variables } = facts;
  return [
    list([
      say`If the shell does not find the command, type ${code(commandByPath)} in its place.`,
      say`Ctrl-C stops any command of this page in order; what it had begun is removed.`,
      ...(variables.length > 0
        ? [
            say`These variables must be set as in the product's own environment: ${code(variables.join(" "))}.`,
          ]
        : []),
    ]),
  ];
}

export interface ShownStep {
  readonly about: DescribedStep;
  /** How long it took before, in words. */
  readonly took: string;
}

/** The steps of the program, one section each. */
export function stepBlocks(steps: readonly ShownStep[]): Block[] {
  return steps.flatMap(({ about, took }, at) => [
    stepHeading(about, at + 1),
    paragraph(words(about.purpose)),
    list([
      ["Expected: ", ...words(about.expected)],
      ["If it fails: ", ...words(about.onFailure)],
      ["Took: ", took],
    ]),
  ]);
}

export function stepHeading({ id, title }: DescribedStep, number: number): Block {
  const text = `${title.charAt(0).toUpperCase()}${title.slice(1)}`;
  return { kind: "heading", level: 3, text: [`${number}. ${text} (`, { code: id }, ")"] };
}

/** What the exit status of any command here means (the contract's table). */
export function exitStatuses(): Block[] {
  return [
    heading("If a command fails"),
    paragraph(
      words(
        "It says what happened to which object, and what to do next. `echo $?` right after it shows its exit status.",
      ),
    ),
    table(
      ["status", "meaning", "what to do"],
      [
        [["0"], ["done"], ["go on"]],
        [
          ["1"],
          ["it failed, or a check found something wrong"],
          ["read the message: it names the object and the remedy"],
        ],
        [
          ["2"],
          ["wrong usage or configuration; nothing was touched"],
          ["compare what was typed with this page, then the configuration"],
        ],
        [
          ["3"],
          ["refused: something would be overwritten or lost; nothing was touched"],
          ["name another directory, or do what the remedy says"],
        ],
        [
          ["4"],
          ["another run holds the lock; nothing was touched"],
          ["wait for it; the message names its process"],
        ],
        [
          ["5"],
          ["not found: no such backup, or an instant outside every window"],
          words("choose one of `list`"),
        ],
        [
          ["130, 143"],
          ["stopped by a signal, after cleaning up"],
          ["run it again when it shall be done"],
        ],
      ],
    ),
  ];
}
