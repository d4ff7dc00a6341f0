import type { Finding } from "@lifeboat/core";
import { inOneLine } from "../printable.ts";

const MARKS = { error: "ERROR  ", warning: "warning", info: "info   " };

/** Findings, the worst first, each with what to do. */
export function showFindings(findings: readonly Finding[]): string {
  if (findings.length === 0) return "nothing stands in the way\n";
  const order = ["error", "warning", "info"];
  return findings
    .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
    .map(
      ({ id, severity, summary, remedy }) =>
        `${MARKS[severity]}  ${inOneLine(summary)} [${id}]\n         ${remedy}\n`,
    )
    .join("");
}

/** Findings below a result that is good in itself; nothing when there are none. */
export function alsoFindings(findings: readonly Finding[]): string {
  return findings.length === 0 ? "" : `\n${showFindings(findings)}`;
}
