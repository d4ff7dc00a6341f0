import type { MigrationRecord } from "@lifeboat/core";
import { ASKED_GATES, type CutoverReport, GATES, type GateName } from "@lifeboat/migrate";
import { showCutover } from "../show/cutover.ts";
import { duration } from "../show/units.ts";
import { showRollback } from "../show/way-back.ts";
import type { RunbookFacts } from "./facts.ts";
import { lastMove } from "./measured.ts";

/** What `migrate cutover` prints, by the function that prints it: as the last one did, with no figure that was not measured. */
export function expectedCutover(facts: RunbookFacts, line: string): string {
  const { configuration } = facts;
  const names = [...GATES, ...(configuration?.migrate.appRole ? ASKED_GATES : [])];
  const record = lastMove(facts, "cutover");
  const { rows, gates, backups, holdSeconds, movedAt, switchSeconds } = record?.details ?? {};
  const shape = showCutover(
    {
      phase: "cutover",
      id: record?.migration ?? "",
      tables: [],
      findings: [],
      gates: Array.isArray(gates) ? gates : names.map(metGate),
      backups: Array.isArray(backups) ? backups : ["…"],
      rows: number(rows),
      holdSeconds: number(holdSeconds),
      movedAt: instant(movedAt),
      switchSeconds: number(switchSeconds),
      seconds: number(record?.seconds),
    },
    line,
  );
  return orUnmeasured(record, shape);
}

/** The same of `migrate rollback`. */
export function expectedRollback(facts: RunbookFacts, line: string): string {
  const record = lastMove(facts, "rollback");
  const { rows, holdSeconds, movedAt, switchSeconds } = record?.details ?? {};
  const shape = showRollback(
    {
      phase: "rollback",
      id: record?.migration ?? "",
      tables: [],
      findings: [],
      rows: number(rows),
      holdSeconds: number(holdSeconds),
      movedAt: instant(movedAt),
      switchSeconds: number(switchSeconds),
      seconds: number(record?.seconds),
    },
    line,
  );
  return orUnmeasured(record, shape);
}

function metGate(name: GateName): CutoverReport["gates"][number] {
  return { name, ok: true, skipped: false, message: "…", remedy: "" };
}

function orUnmeasured(record: MigrationRecord | undefined, shape: string): string {
  return record ? shape : shape.replaceAll(duration(0), "…").replace("0 rows", "… rows");
}

function number(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function instant(value: unknown): string {
  return typeof value === "string" ? value : "…";
}
