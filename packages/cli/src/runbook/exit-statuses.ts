import { type Block, heading, paragraph, table, words } from "./document.ts";

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
