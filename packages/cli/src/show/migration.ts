import type { LoadReport, MigrationFinding, VerifyReport } from "@lifeboat/migrate";
import { inOneLine, printable } from "../printable.ts";
import { choiceText } from "./choice.ts";
import { facts, table } from "./table.ts";
import { duration, size } from "./units.ts";

/** @param isLive the product writes meanwhile, and is followed from here on */
export function showLoad(report: LoadReport, commandLine: string, isLive: boolean): string {
  const columns = [
    { title: "table" },
    { title: "rows", right: true },
    { title: "took", right: true },
  ];
  const rows = report.tables.map((each) => [
    each.target,
    String(each.rows),
    duration(each.seconds),
  ]);
  const summary = facts([
    ["loaded", `${report.rows} rows, ${size(report.bytes)}, into schema ${report.schema}`],
    [
      "took",
      `${duration(report.seconds)}, ${report.compared ? "both sides compared equal" : "NOT compared yet"}`,
    ],
    ...rested(report),
    isLive
      ? ["next", `${commandLine} migrate sync follows; then migrate verify, migrate cutover`]
      : ["back it up with", `${commandLine} backup --engine postgres`],
  ]);
  return `${table(columns, rows)}\n${summary}`;
}

/** Too short to be asked about is not told. */
function rested({ restedSeconds = 0 }: LoadReport): [string, string][] {
  if (restedSeconds < 1) return [];
  return [
    ["rested", `${duration(restedSeconds)} of that for the product's writes; --pace full does not`],
  ];
}

/** Whether both sides hold the same, a table a line. */
export function showComparison(report: VerifyReport): string {
  const columns = [
    { title: "table" },
    { title: "SQLite rows", right: true },
    { title: "Postgres rows", right: true },
    { title: "result" },
  ];
  const rows = report.tables.map((each) => [
    each.name,
    String(each.rows),
    String(each.rowsInPostgres),
    resultOf(each),
  ]);
  const inFlight = report.inFlight > 0 ? `, but for ${report.inFlight} rows in flight` : "";
  const result = report.ok ? `both sides are equal${inFlight}` : "NOT everything is in order";
  const closing = `${result}: ${report.rows} rows compared in ${duration(report.seconds)}\n`;
  return `${table(columns, rows)}\n${showMigrationFindings(report.findings)}${closing}`;
}

function resultOf({ equal, differing, inFlight }: VerifyReport["tables"][number]): string {
  const still = inFlight > 0 ? `, ${inFlight} in flight` : "";
  if (differing > 0) return `${differing} DIFFER${still}`;
  return `${equal ? "equal" : "NOT COMPARED"}${still}`;
}

const MAX_KEY_CHARACTERS = 120;

const ORDER = ["info", "warning", "error"];

/** The errors last, where the eye is. */
export function showMigrationFindings(findings: readonly MigrationFinding[]): string {
  return findings
    .toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
    .map(showOne)
    .join("");
}

function showOne(one: MigrationFinding): string {
  const { id, severity, summary, choices, proposal, table: name, column } = one;
  const lines = [
    `${severity === "error" ? "ERROR" : severity}  ${inOneLine(summary.replaceAll(/\s*\n\s*/g, " "))} [${id}]`,
    ...howMany(one),
    ...choices.map((choice) => `answer: ${printable(choiceText(name, column, choice))}`),
    ...(proposal === undefined ? [] : [proposalLabel(id), ...proposedLines(proposal)]),
  ];
  return `${lines.join("\n         ")}\n`;
}

/** Most stand for what does not go over; rights are to be given. */
function proposalLabel(id: string): string {
  return id.startsWith("app-role") ? "to be run in Postgres:" : "in Postgres it could be:";
}

/** One alone is what the summary tells already. */
function howMany({ count, sample }: MigrationFinding): readonly string[] {
  const shown = sample.map((key) => inOneLine(shortened(key)));
  if (shown.length > 0) return [`${count} in all, such as ${shown.join("; ")}`];
  return count > 1 ? [`${count} in all`] : [];
}

/** A key may be of megabytes. */
function shortened(key: string): string {
  return key.length > MAX_KEY_CHARACTERS ? `${key.slice(0, MAX_KEY_CHARACTERS)}…` : key;
}

function proposedLines(proposal: string): readonly string[] {
  return printable(proposal)
    .split("\n")
    .map((line) => `  ${line}`);
}
