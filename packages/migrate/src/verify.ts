import { LifeboatError, type Report, reasonOf, runSteps, type Step } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import { capturedFor } from "./capture/install-capture.ts";
import { addedObjects } from "./compare/added-objects.ts";
import { BrokenReferences } from "./compare/broken-references.ts";
import { compareCatalog } from "./compare/compare-catalog.ts";
import { changedDefinitions, missingColumns } from "./compare/compare-structure.ts";
import { logGoesOn, sourceGoesOn, targetGoesOn } from "./compare/going-on.ts";
import { LiveSides } from "./compare/live-sides.ts";
import { loadedEntry, movedOn } from "./compare/loaded-entry.ts";
import { type Catalog, readCatalog } from "./compare/read-catalog.ts";
import { type Patience, settleAll, USUAL_PATIENCE } from "./compare/settle.ts";
import { heldSides } from "./compare/sides.ts";
import { toldApart } from "./compare/told-apart.ts";
import {
  comparisonFindings,
  foreignKeysAside,
  notRecorded,
  uncompared,
  unplanned,
  unreadable,
} from "./compare/verify-findings.ts";
import {
  compareLiveTable,
  compareTable,
  type LiveComparison,
  type TableComparison,
} from "./compare.ts";
import { foreignKeyParts } from "./constraint-parts.ts";
import { driftFindings } from "./drift.ts";
import type { MigrationFinding } from "./finding.ts";
import type { PlannedTable } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { openSource, type Source } from "./source.ts";
import { tableNamed } from "./sqlite/schema.ts";
import { breakOnAbort } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { type JournalEntry, newestEntry, noteVerified } from "./target/journal.ts";
import { serverError, targetError } from "./target/target-error.ts";

export interface VerifyRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** How long rows in flight are waited for; 30 s, and 5 s without a change, when left out. */
  readonly patience?: Patience;
}

export interface VerifyReport {
  readonly phase: "verify";
  /** Every value equal but for rows in flight, every constraint, index and sequence in place. */
  readonly ok: boolean;
  readonly schema: string;
  readonly tables: readonly TableComparison[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  /** Rows that SQLite had just written and that Postgres did not get meanwhile. */
  readonly inFlight: number;
  /** What a cutover finds in the journal; null where the sides differ or the journal takes no writes. */
  readonly verifiedAt: string | null;
  readonly seconds: number;
}

/**
 * Compares both sides, value by value, by the plan under which the target was loaded, while SQLite may be written and a
 * sync may follow it. Changes nothing on either side but the journal's note of the result, and may be run as often as one
 * likes.
 * @throws LifeboatError `NOT_LOADED` (not-found) where no load of ours has finished, or the migration went on since;
 * `SQLITE_UNREADABLE`
 */
export async function verifyMigration(request: VerifyRequest): Promise<VerifyReport> {
  const source = openSource(request.sqlite.path);
  try {
    const client = await connectTarget(request.postgres, request.signal);
    breakOnAbort(client, request.signal);
    try {
      const entry = await loadedEntry(client, request.schema);
      return await new Verification(client, source, entry, request).run();
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

/** One run: what its steps hand on. */
class Verification {
  readonly #client: Client;
  readonly #source: Source;
  readonly #entry: JournalEntry;
  readonly #request: VerifyRequest;
  /** Null where the log of SQLite is not this migration's: then both sides should be equal in whole. */
  readonly #live: LiveSides | null;
  readonly #findings: MigrationFinding[] = [];
  readonly #tables: (() => TableComparison)[] = [];
  readonly #comparisons: LiveComparison[] = [];
  readonly #references: BrokenReferences[] = [];
  #now: Catalog | undefined;

  constructor(client: Client, source: Source, entry: JournalEntry, request: VerifyRequest) {
    this.#client = client;
    this.#source = source;
    this.#entry = entry;
    this.#request = request;
    const isLive = capturedFor(source.db) === entry.id;
    this.#live = isLive ? new LiveSides(source.db, client, entry) : null;
  }

  async run(): Promise<VerifyReport> {
    const started = performance.now();
    const { plan } = this.#entry;
    this.#findings.push(...unplanned(plan, this.#source));
    if (this.#live) this.#source.release();
    else await this.#client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await (this.#request.run ?? runSteps)(this.#steps());
    if (!this.#live) await this.#client.query("COMMIT");
    const tables = this.#conclude();
    const hasErrors = () => this.#findings.some((one) => one.severity === "error");
    const verifiedAt = await this.#record(hasErrors() ? null : new Date().toISOString());
    return {
      phase: "verify",
      ok: !hasErrors(),
      schema: plan.schema,
      tables,
      findings: this.#findings,
      rows: tables.reduce((sum, table) => sum + table.rows, 0),
      inFlight: tables.reduce((sum, table) => sum + table.inFlight, 0),
      verifiedAt,
      seconds: (performance.now() - started) / 1000,
    };
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
      if (missing.length > 0) this.#uncompared(table, ...missing);
      else await this.#compareOne(this.#live ? toldApart(table, now) : table, report);
    }
  }

  async #compareOne(table: PlannedTable, report: Report): Promise<void> {
    const input = this.#input(table, report);
    try {
      if (this.#live) {
        const comparison = await compareLiveTable({ ...input, sides: this.#live });
        this.#comparisons.push(comparison);
        this.#tables.push(() => comparison.result().table);
      } else {
        const compared = await compareTable(input);
        this.#findings.push(...comparisonFindings(compared, []));
        this.#tables.push(() => compared);
      }
    } catch (cause) {
      // A statement that SQLite does not take: its schema is another one by now.
      if (!(cause instanceof SqliteError) || cause.code !== "SQLITE_ERROR") throw cause;
      this.#uncompared(table, unreadable(table, cause));
      return;
    }
    await this.#lookForParents(table, report);
  }

  #uncompared(table: PlannedTable, ...findings: readonly MigrationFinding[]): void {
    this.#findings.push(...findings);
    this.#tables.push(() => uncompared(table));
  }

  #input(table: PlannedTable, report: Report) {
    return {
      db: this.#source.db,
      client: this.#client,
      schema: this.#entry.plan.schema,
      table,
      report,
      signal: this.#request.signal,
      ...(this.#live && { sides: this.#live }),
    };
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
      this.#references.push(new BrokenReferences(this.#input(table, report), constraint, parent));
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
    const references = this.#references.filter((one) => one.isOpen);
    await settleAll({
      unsettled: [...this.#comparisons.flatMap((one) => one.unsettled), ...references],
      watermark: { seen: () => live.watermark, newest: () => live.newestWatermark() },
      patience: this.#request.patience ?? USUAL_PATIENCE,
      report,
      signal: this.#request.signal,
    });
    for (const comparison of this.#comparisons) {
      const { table, inFlightSample } = comparison.result();
      this.#findings.push(...comparisonFindings(table, inFlightSample));
    }
  }

  #conclude(): TableComparison[] {
    const { declared } = this.#request;
    this.#findings.push(...this.#references.flatMap((one) => one.findings()));
    this.#findings.push(...driftFindings(declared, this.#source.schema, this.#entry.plan.tables));
    return this.#tables.map((table) => table());
  }

  /** A role that may compare but not write is told so: a cutover would not see what was found. */
  async #record(verifiedAt: string | null): Promise<string | null> {
    const { id } = this.#entry;
    try {
      if (await noteVerified(this.#client, id, verifiedAt)) return verifiedAt;
    } catch (cause) {
      const named = targetError(cause);
      if (!(named instanceof LifeboatError) || named.code === "POSTGRES_LOST") throw cause;
      this.#findings.push(notRecorded(reasonOf(cause)));
      return null;
    }
    throw movedOn((await newestEntry(this.#client))?.phase ?? "gone");
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
