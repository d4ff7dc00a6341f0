import type { Problem } from "@lifeboat/core";
import { inOneLine } from "../printable.ts";

/** What is damaged or missing in the repository, an object a line. */
export function showProblems(problems: readonly Problem[]): string {
  return problems
    .map(
      ({ object, code, message }) =>
        `ERROR  ${inOneLine(object)}\n       ${inOneLine(message)} [${code}]\n`,
    )
    .join("");
}
