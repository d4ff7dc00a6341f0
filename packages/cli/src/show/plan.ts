import type {
  MigrationFinding,
  MigrationPlan,
  PlannedColumn,
  PlannedTable,
} from "@lifeboat/migrate";
import { inOneLine, printable } from "../printable.ts";
import { choiceText } from "./choice.ts";
import { showMigrationFindings } from "./migration.ts";
import { table } from "./table.ts";
import { duration, size } from "./units.ts";

const COLUMNS = [
  { title: "column" },
  { title: "declared" },
  { title: "stored" },
  { title: "in Postgres" },
  { title: "written as" },
];

/** A table of columns for each table, then what the load runs, then what was found, the unanswered errors last, where the eye is. */
export function showPlan(plan: MigrationPlan, commandLine: string): string {
  const { rows, bytes, expectedSeconds } = plan.sizes;
  const expected = `${rows} rows, ${size(bytes)}: a load takes about ${whole(expectedSeconds)} (an estimate by size, not measured here)\n`;
  return [
    ...plan.tables.map(showTable),
    showDdl(plan),
    expected,
    showMigrationFindings(plan.findings),
    nextStep(plan, commandLine),
  ].join("");
}

function showTable({ name, target, rows, bytes, columns }: PlannedTable): string {
  const heading = `${target === name ? name : `${name}, in Postgres ${target}`}: ${rows} rows, ${size(bytes)}`;
  return `${inOneLine(heading)}\n${table(COLUMNS, columns.map(columnCells))}\n`;
}

function columnCells(column: PlannedColumn): readonly string[] {
  const { source, target, declared = "", type } = column;
  return [
    target === source ? source : `${source}, there ${target}`,
    declared,
    stored(column),
    `${type}${column.nullable ? "" : " not null"}${column.identity ? " identity" : ""}`,
    codecOf(column),
  ];
}

/** `3 integers, 1 NULL`. */
function stored({ stored: classes = {} }: PlannedColumn): string {
  return Object.entries(classes)
    .map(([name, count]) => {
      const word = name === "nulls" ? "NULLs" : name === "blobs" ? "BLOBs" : name;
      return `${count} ${count === 1 ? word.slice(0, -1) : word}`;
    })
    .join(", ");
}

/** Nothing where the value is the same on both sides. */
function codecOf({ codec, generated }: PlannedColumn): string {
  if (generated !== null) return "calculated";
  return ["integer", "real", "text", "bytes", "boolean", "uuid", "json"].includes(codec)
    ? ""
    : codec;
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

function nextStep({ findings }: MigrationPlan, commandLine: string): string {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return `nothing stands in the way: ${commandLine} migrate load\n`;
  const many = errors.length === 1 ? "1 error has" : `${errors.length} errors have`;
  return `${many} to be answered in migrate.columns of the configuration\n${sharedEntries(errors)}`;
}

/** An entry that stood there twice would be read once. */
function sharedEntries(errors: readonly MigrationFinding[]): string {
  const answered = errors.filter(({ choices }) => choices.length > 0);
  const byEntry = Map.groupBy(answered, ({ table: name, column }) =>
    JSON.stringify([name, column]),
  );
  return [...byEntry.values()]
    .filter((ofOne) => ofOne.length > 1)
    .map((ofOne) => {
      const { table: name, column } = ofOne[0] as MigrationFinding;
      const whole = Object.assign({}, ...ofOne.map(({ choices }) => choices[0]));
      return `${ofOne.length} of them in one entry, such as ${inOneLine(choiceText(name, column, whole))}\n`;
    })
    .join("");
}
