import { type Block, code, notice, paragraph, table, words } from "./document.ts";
import type { RunbookFacts } from "./facts.ts";

/** The options that choose another state than the newest. */
export function otherStates(facts: RunbookFacts): Block[] {
  const to = facts.list?.windows.findLast(({ engine }) => engine === facts.engine)?.to;
  const instant = to ?? "2026-11-22T10:14:59.000Z";
  return [
    paragraph(words("That is the newest state. For another one add to the same line:")),
    table(
      ["wanted", "add"],
      [
        [["an instant, UTC"], [code(`--at ${instant}`)]],
        [
          ["the state of one backup, without what followed"],
          [code(`--backup ${facts.newest[0]?.id ?? "ID"}`)],
        ],
      ],
    ),
    ...(facts.live === "postgres" && facts.configuration?.engines.includes("sqlite")
      ? [
          notice(
            words(
              "An instant before the cutover restores SQLite by the same option: leave `--engine` out then, and follow the SQLite runbook (`runbook restore --engine sqlite`).",
            ),
          ),
        ]
      : []),
  ];
}
