import { VERSION } from "@lifeboat/core/version";
import { type Block, code, type Inline, list, paragraph, say, table } from "./document.ts";
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
