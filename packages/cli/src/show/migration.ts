import type { LoadReport, MigrationFinding, MigrationPlan, VerifyReport } from "@lifeboat/migrate";
import { printable } from "../printable.ts";
import { choiceText } from "./choice.ts";
import { facts, table } from "./table.ts";
import { duration, size } from "./units.ts";

/** What goes over and how, then what was found, the unanswered errors last, where the eye is. */
export function showPlan(plan: MigrationPlan, commandLine: string): string {
  const columns = [
    { title: "table" },
    { title: "rows", right: true },
    { title: "size", right: true },
    { title: "columns" },
  ];
  const rows = plan.tables.map((each) => [
    each.name,
    String(each.rows),
    size(each.bytes),
    each.columns.map(({ target, type }) => `${target} ${type}`).join(", "),
  ]);
  const { rows: all, bytes, expectedSeconds } = plan.sizes;
  const expected = `${all} rows, ${size(bytes)}: a load takes about ${whole(expectedSeconds)} (an estimate by size, not measured here)\n`;
  return `${table(columns, rows)}\n${showDdl(plan)}${expected}${showMigrationFindings(plan.findings)}${nextStep(plan, commandLine)}`;
}

/** What the load will run on the target, in its order. */
function showDdl({ ddl }: MigrationPlan): string {
  const statements = ddl
    .filter(({ phase }) => phase !== "statistics")
    .map(({ sql }) => `${sql};\n`);
  return statements.length === 0 ? "" : `${statements.map(printable).join("")}\n`;
}

/** An estimate has no hundredths. */
function whole(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : duration(seconds);
}

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
    isLive
      ? ["next", `${commandLine} migrate sync follows; then migrate verify, migrate cutover`]
      : ["back it up with", `${commandLine} backup --engine postgres`],
  ]);
  return `${table(columns, rows)}\n${summary}`;
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

function nextStep({ findings }: MigrationPlan, commandLine: string): string {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  if (errors === 0) return `nothing stands in the way: ${commandLine} migrate load\n`;
  return `${errors === 1 ? "1 error has" : `${errors} errors have`} to be answered in migrate.columns of the configuration\n`;
}

const ORDER = ["info", "warning", "error"];

/** The errors last, where the eye is. */
export function showMigrationFindings(findings: readonly MigrationFinding[]): string {
  return findings
    .toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
    .map(showOne)
    .join("");
}

function showOne({
  id,
  severity,
  summary,
  sample,
  choices,
  table: name,
  column,
}: MigrationFinding) {
  const lines = [`${severity === "error" ? "ERROR" : severity}  ${summary} [${id}]`];
  if (sample.length > 0) lines.push(`         such as ${sample.join(", ")}`);
  for (const choice of choices) lines.push(`         answer: ${choiceText(name, column, choice)}`);
  return `${lines.join("\n")}\n`;
}
