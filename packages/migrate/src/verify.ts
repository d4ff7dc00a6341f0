import { LifeboatError, type Report, reasonOf, runSteps, type Step } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import { capturedFor } from "./capture/install-capture.ts";
import { addedObjects } from "./compare/added-objects.ts";
import { BrokenReferences } from "./compare/broken-references.ts";
import { compareCatalog } from "./compare/compare-catalog.ts";
import { changedDefinitions, missingColumns } from "./compare/compare-structure.ts";
import { comparedEntry } from "./compare/compared-entry.ts";
import { conclude } from "./compare/conclude.ts";
import { logGoesOn, sourceGoesOn, targetGoesOn } from "./compare/going-on.ts";
import { LiveSides } from "./compare/live-sides.ts";
import { type Catalog, readCatalog } from "./compare/read-catalog.ts";
import { USUAL_PATIENCE } from "./compare/settle.ts";
import { heldSides } from "./compare/sides.ts";
import { TableComparisons } from "./compare/table-comparisons.ts";
import { toldApart } from "./compare/told-apart.ts";
import type { VerificationRun } from "./compare/verification-run.ts";
import { foreignKeysAside, unplanned } from "./compare/verify-findings.ts";
import type { VerifyReport, VerifyRequest } from "./compare/verify-report.ts";
import { foreignKeyParts } from "./constraint-parts.ts";
import { driftFindings } from "./drift.ts";
import type { MigrationFinding } from "./finding.ts";
import type { PlannedTable } from "./plan.ts";
import { FrozenVerification } from "./reverse/frozen-verification.ts";
import { openSource, type Source } from "./source.ts";
import { tableNamed } from "./sqlite/schema.ts";
import { breakOnAbort } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { type JournalEntry, newestEntry } from "./target/journal.ts";
import { serverError } from "./target/target-error.ts";

/**
 * Compares both sides, value by value, by the plan under which the target was loaded, while the product writes and a sync may
 * follow it: from the load on Postgres follows SQLite, after the cutover the frozen SQLite file follows Postgres. Changes
 * nothing on either side but the journal's note of the result, and may be run as often as one likes.
 * @throws LifeboatError `NOT_LOADED` (not-found) where no load of ours has finished, or the migration went on meanwhile, or to where
 * nothing follows; `SQLITE_UNREADABLE`; after the cutover also `SQLITE_REPLACED`, `POSTGRES_SET_BACK` (refused)
 */
export async function verifyMigration(request: VerifyRequest): Promise<VerifyReport> {
  const source = openSource(request.sqlite.path);
  try {
    const client = await connectTarget(request.postgres, request.signal);
    breakOnAbort(client, request.signal);
    try {
      const entry = await comparedEntry(client, request.schema);
      const run = { client, source, entry, request };
      if (entry.phase === "cut-over") return await new FrozenVerification(run).run();
      return await new Verification(run).run();
    } catch (cause) {
      request.signal.throwIfAborted();
      if (cause instanceof SqliteError) throw unreadableFile(source, cause);
      throw serverError(cause);
    } finally {
      await client.end();
    }
  } finally {
    source.close();
  }
}

/** One run before the cutover: what its steps hand on. */
class Verification {
  readonly #client: Client;
  readonly #source: Source;
  readonly #entry: JournalEntry;
  readonly #request: VerifyRequest;
  /** Null where the log of SQLite is not this migration's: then both sides should be equal in whole. */
  readonly #live: LiveSides | null;
  readonly #tables: TableComparisons;
  readonly #findings: MigrationFinding[];
  readonly #references: BrokenReferences[] = [];
  #now: Catalog | undefined;

  constructor({ client, source, entry, request }: VerificationRun) {
    this.#client = client;
    this.#source = source;
    this.#entry = entry;
    this.#request = request;
    const isLive = capturedFor(source.db) === entry.id;
    this.#live = isLive ? new LiveSides(source.db, client, entry) : null;
    this.#tables = new TableComparisons({
      ...{ db: source.db, client, schema: entry.plan.schema, signal: request.signal },
      direction: "sqlite-to-postgres",
      ...(this.#live && { sides: this.#live }),
    });
    this.#findings = this.#tables.findings;
  }

  async run(): Promise<VerifyReport> {
    const started = performance.now();
    const { plan } = this.#entry;
    this.#findings.push(...unplanned(plan, this.#source));
    if (this.#live) this.#source.release();
    else await this.#client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await (this.#request.run ?? runSteps)(this.#steps());
    if (!this.#live) await this.#client.query("COMMIT");
    this.#findings.push(...this.#references.flatMap((one) => one.findings()));
    const { declared } = this.#request;
    this.#findings.push(...driftFindings(declared, this.#source.schema, plan.tables));
    return conclude({
      client: this.#client,
      entry: this.#entry,
      comparisons: this.#tables,
      direction: "sqlite-to-postgres",
      started,
    });
  }

  #steps(): Step[] {
    const live = this.#live;
    return [
      { title: "compare every value", run: (report) => this.#compareRows(report) },
      {
        title: "look for constraints, indexes and sequences",
        run: (report) => this.#compareStructure(report),
      },
      ...(live
        ? [
            {
              title: "look again at rows in flight",
              run: (report: Report) => this.#settle(live, report),
            },
          ]
        : []),
    ];
  }

  async #compareRows(report: Report): Promise<void> {
    const { plan } = this.#entry;
    const sides = this.#live ?? heldSides(this.#client);
    const now = await sides.look(() => readCatalog(this.#client, plan.schema));
    this.#now = now;
    for (const table of plan.tables) {
      const missing = missingColumns(table, now);
      if (missing.length > 0) this.#tables.skip(table, ...missing);
      else await this.#compareOne(this.#live ? toldApart(table, now) : table, report);
    }
  }

  async #compareOne(table: PlannedTable, report: Report): Promise<void> {
    if (await this.#tables.compare(table, report)) await this.#lookForParents(table, report);
  }

  async #compareStructure(report: Report): Promise<void> {
    const { plan, catalog: then } = this.#entry;
    const sides = this.#live ?? heldSides(this.#client);
    // A sync drops them for as long as it runs, where its role may not pass over them.
    const areAside = (await newestEntry(this.#client))?.details.foreignKeysAside === true;
    if (areAside) this.#findings.push(foreignKeysAside());
    const inPlace = (table: PlannedTable) => (areAside ? withoutForeignKeys(table) : table);
    const compare = (table: PlannedTable) => () =>
      compareCatalog(this.#client, plan.schema, this.#withSequence(inPlace(table)));
    for (const table of plan.tables) this.#findings.push(...(await sides.look(compare(table))));
    if (this.#now) this.#findings.push(...changedDefinitions(plan, then, this.#now));
    this.#findings.push(...(await sides.look(() => addedObjects(this.#client, plan))));
    if (this.#live) this.#findings.push(...(await this.#goingOn(this.#live)));
    for (const one of this.#references) {
      report({ note: "rows without a parent" });
      await one.settle();
    }
  }

  /** What does not concern the rows as they are, but ends the migration, or its way back, later. */
  async #goingOn(live: LiveSides): Promise<MigrationFinding[]> {
    const target = await live.look(() => targetGoesOn(this.#client, this.#entry));
    const log = await logGoesOn(this.#source.db, () => live.newestWatermark());
    return [...sourceGoesOn(this.#source.db, this.#entry.plan), ...log, ...target];
  }

  async #lookForParents(table: PlannedTable, report: Report): Promise<void> {
    for (const constraint of table.constraints) {
      if (constraint.kind !== "foreign-key" || !constraint.validated) continue;
      const { parent: target } = foreignKeyParts(constraint);
      const parent = this.#entry.plan.tables.find((one) => one.target === target);
      if (!parent || !this.#now || missingColumns(parent, this.#now).length > 0) continue;
      this.#references.push(
        new BrokenReferences(this.#tables.input(table, report), constraint, parent),
      );
    }
  }

  /** AUTOINCREMENT may have given out ids since, whose rows are gone again. While SQLite is followed, the cutover sets it. */
  #withSequence(table: PlannedTable): PlannedTable {
    const { identity } = table;
    const given = tableNamed(this.#source.schema, table.name)?.sequence ?? null;
    if (this.#live || identity === null || given === null || given <= BigInt(identity.last))
      return table;
    return { ...table, identity: { ...identity, last: String(given) } };
  }

  async #settle(live: LiveSides, report: Report): Promise<void> {
    await this.#tables.settle({
      also: this.#references.filter((one) => one.isOpen),
      watermark: { seen: () => live.watermark, newest: () => live.newestWatermark() },
      patience: this.#request.patience ?? USUAL_PATIENCE,
      report,
    });
  }
}

function withoutForeignKeys(table: PlannedTable): PlannedTable {
  return { ...table, constraints: table.constraints.filter(({ kind }) => kind !== "foreign-key") };
}

function unreadableFile(source: Source, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "SQLITE_UNREADABLE",
    message: `the SQLite database ${source.path} can't be read any more: ${reasonOf(cause)}`,
    remedy: "check the file, and that no other process holds it exclusively",
    details: { path: source.path },
    cause,
  });
}
