import type { Report, Step } from "@lifeboat/core";
import type { Client } from "pg";
import { forgetApplied } from "../capture/forget-applied.ts";
import { compareTable } from "../compare.ts";
import { qualified, targetTables } from "../ddl.ts";
import { finding } from "../finding.ts";
import type { LiveSource } from "../live-source.ts";
import type { PlannedTable } from "../plan.ts";
import type { Source } from "../source.ts";
import { assertEmptyTarget } from "../target/assert-empty.ts";
import { type JournalEntry, newestEntry, watermarkOf } from "../target/journal.ts";
import { LoadRun, type LoadRunInit } from "./load-run.ts";

/**
 * The load that Postgres has committed and that nobody knows of: its run was killed, or lost its connection, before it
 * could tell. Null where there is none, or its tables are not all there any more.
 */
export async function committedLoad(
  client: Client,
  schema: string,
  isLive: boolean,
): Promise<JournalEntry | null> {
  const entry = await newestEntry(client);
  if (entry?.phase !== "loaded" || entry.details.ended === true) return null;
  // Only a load of a live database has a place in its log.
  const wasLive = entry.details.watermark !== undefined;
  if (entry.plan.schema !== schema || wasLive !== isLive) return null;
  return (await areThere(client, entry)) ? entry : null;
}

async function areThere(client: Client, { plan }: JournalEntry): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    "SELECT coalesce(bool_and(to_regclass(name) IS NOT NULL), true) AS there FROM unnest($1::text[]) AS name",
    [targetTables(plan)],
  );
  return rows[0]?.there === true;
}

/** Ends such a load: nothing is copied, since what was written since its commit is in SQLite's log. */
export class CommittedLoad extends LoadRun {
  readonly #source: LiveSource;
  readonly #watermark: bigint;

  constructor(source: LiveSource, entry: JournalEntry, init: Omit<LoadRunInit, "id" | "plan">) {
    const compares = entry.details.verifiedAt !== undefined;
    super({ ...init, id: entry.id, plan: entry.plan, compares });
    this.#source = source;
    this.#watermark = watermarkOf(entry);
    this.findings.push(loadedBefore(entry));
  }

  protected override allSteps(): Step[] {
    return [
      { title: "count what an earlier run has loaded", run: (report) => this.#count(report) },
      {
        title: "forget in SQLite what Postgres holds",
        run: async () => forgetApplied(this.#source, this.#watermark),
      },
      this.closing(),
    ];
  }

  async #count(report: Report): Promise<void> {
    for (const table of this.plan.tables) {
      this.signal.throwIfAborted();
      report({ note: table.name });
      const relation = qualified(this.plan.schema, table.target);
      const { rows } = await this.client.query<{ count: string }>(
        `SELECT count(*) AS count FROM ${relation}`,
      );
      this.tables.push(loadedTable(table, Number(rows[0]?.count)));
    }
  }
}

/** Ends a load of a database that logs nothing: whether Postgres holds what it holds now is seen by comparing all of it. */
export class CommittedQuietLoad extends LoadRun {
  readonly #source: Source;

  constructor(source: Source, entry: JournalEntry, init: Omit<LoadRunInit, "id" | "plan">) {
    super({ ...init, id: entry.id, plan: entry.plan, compares: true });
    this.#source = source;
    this.findings.push(loadedBefore(entry));
  }

  protected override allSteps(): Step[] {
    return [
      { title: "compare what an earlier run has loaded", run: (report) => this.#compare(report) },
      this.closing(),
    ];
  }

  /** @throws LifeboatError `TARGET_NOT_EMPTY`: the sides differ, so what is there is in the way */
  async #compare(report: Report): Promise<void> {
    const { client, signal, plan } = this;
    const { db } = this.#source;
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    for (const table of plan.tables) {
      report({ note: table.name });
      const compared = await compareTable({
        db,
        client,
        schema: plan.schema,
        table,
        report,
        signal,
      });
      if (!compared.equal) await assertEmptyTarget(client, plan.schema);
      this.tables.push(loadedTable(table, compared.rowsInPostgres));
    }
    await client.query("COMMIT");
  }
}

function loadedTable({ name, target }: PlannedTable, rows: number) {
  return { name, target, rows, bytes: 0, seconds: 0 };
}

function loadedBefore({ finishedAt }: JournalEntry) {
  return finding({
    id: "loaded-before",
    severity: "info",
    summary: `an earlier run committed this load at ${finishedAt} and was broken off before its end; nothing was copied anew`,
  });
}
