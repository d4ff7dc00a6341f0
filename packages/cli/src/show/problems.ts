import type { Problem } from "@lifeboat/core";
import { inOneLine } from "../printable.ts";

/** What is damaged or missing in the repository, an object a line; of objects one behind the other the first and the last. */
export function showProblems(problems: readonly Problem[]): string {
  const runs: [Problem, ...Problem[]][] = [];
  for (const problem of problems) {
    const run = problem.continues ? runs.at(-1) : undefined;
    if (run) run.push(problem);
    else runs.push([problem]);
  }
  return runs.map(showRun).join("");
}

function showRun([first, ...more]: readonly [Problem, ...Problem[]]): string {
  const last = more.at(-1);
  const objects = last ? `${first.object} to ${last.object}: ${more.length + 1}` : first.object;
  const all = last
    ? `${first.message}; it is the same with the ${more.length} behind it`
    : first.message;
  return `ERROR  ${inOneLine(objects)}\n       ${inOneLine(all)} [${first.code}]\n`;
}
