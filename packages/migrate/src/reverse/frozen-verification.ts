import { type Report, runSteps, type Step } from "@lifeboat/core";
import type { Client } from "pg";
import { compareCatalog } from "../compare/compare-catalog.ts";
import { changedDefinitions, missingColumns } from "../compare/compare-structure.ts";
import { conclude } from "../compare/conclude.ts";
import { type Catalog, readCatalog } from "../compare/read-catalog.ts";
import { USUAL_PATIENCE } from "../compare/settle.ts";
import { TableComparisons } from "../compare/table-comparisons.ts";
import type { VerificationRun } from "../compare/verification-run.ts";
import { unplanned } from "../compare/verify-findings.ts";
import type { VerifyReport, VerifyRequest } from "../compare/verify-report.ts";
import { driftFindings } from "../drift.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import { refusesWrites } from "../freeze.ts";
import type { Source } from "../source.ts";
import type { JournalEntry } from "../target/journal.ts";
import { unfollowable } from "./assert-followable.ts";
import { assertFrozenBy } from "./assert-frozen-by.ts";
import { FrozenSides } from "./frozen-sides.ts";
import { comparedTable } from "./logged-columns.ts";

const DIRECTION = "postgres-to-sqlite";

/**
 * One run after the cutover: whether a rollback would find in SQLite what the product wrote to Postgres, but for what a sync, or the
 * rollback itself, still brings.
 */
export class FrozenVerification {
  readonly #client: Client;
  readonly #source: Source;
  readonly #entry: JournalEntry;
  readonly #request: VerifyRequest;
  readonly #sides: FrozenSides;
  readonly #tables: TableComparisons;
  #now: Catalog | undefined;

  /** @throws LifeboatError `SQLITE_REPLACED` (refused) */
  constructor({ client, source, entry, request }: VerificationRun) {
    this.#client = client;
    this.#source = source;
    this.#entry = entry;
    this.#request = request;
    source.release();
    assertFrozenBy(source.db, entry.id);
    this.#sides = new FrozenSides(source.db, client, entry, request.signal);
    this.#tables = new TableComparisons({
      ...{ db: source.db, client, schema: entry.plan.schema, signal: request.signal },
      direction: DIRECTION,
      sides: this.#sides,
    });
  }

  async run(): Promise<VerifyReport> {
    const started = performance.now();
    const { plan } = this.#entry;
    const { findings } = this.#tables;
    if (!refusesWrites(this.#source.db)) findings.push(takesWrites());
    findings.push(...unplanned(plan, this.#source));
    await (this.#request.run ?? runSteps)(this.#steps());
    const { declared } = this.#request;
    findings.push(...driftFindings(declared, this.#source.schema, plan.tables));
    return conclude({
      client: this.#client,
      entry: this.#entry,
      comparisons: this.#tables,
      direction: DIRECTION,
      started,
    });
  }

  #steps(): Step[] {
    return [
      { title: "compare every value", run: (report) => this.#compareRows(report) },
      {
        title: "look for what SQLite can't follow, and for constraints, indexes and sequences",
        run: () => this.#compareStructure(),
      },
      { title: "look again at rows in flight", run: (report) => this.#settle(report) },
    ];
  }

  async #compareRows(report: Report): Promise<void> {
    const { plan } = this.#entry;
    const now = await this.#sides.look(() => readCatalog(this.#client, plan.schema));
    this.#now = now;
    for (const table of plan.tables) {
      // What is missing of it, and so can't be followed, is told with the structure.
      if (missingColumns(table, now).length > 0) this.#tables.skip(table);
      else await this.#tables.compare(comparedTable(table), report);
    }
  }

  async #compareStructure(): Promise<void> {
    const { plan, catalog: then } = this.#entry;
    const { findings } = this.#tables;
    findings.push(...(await this.#sides.look(() => unfollowable(this.#client, plan))));
    const changed: MigrationFinding[] = [];
    for (const table of plan.tables)
      changed.push(
        ...(await this.#sides.look(() => compareCatalog(this.#client, plan.schema, table))),
      );
    if (this.#now) changed.push(...changedDefinitions(plan, then, this.#now));
    findings.push(...changed.map(asOfTheProduct));
  }

  async #settle(report: Report): Promise<void> {
    await this.#tables.settle({
      also: [],
      watermark: { seen: () => this.#sides.batch, newest: () => this.#sides.newestBatch() },
      patience: this.#request.patience ?? USUAL_PATIENCE,
      report,
    });
  }
}

/** The product's own migrations may have changed what the load made; only ids that would be given out twice are wrong in any case. */
function asOfTheProduct(one: MigrationFinding): MigrationFinding {
  if (one.severity !== "error" || one.id === "sequence-differs") return one;
  return { ...one, severity: "warning" };
}

function takesWrites(): MigrationFinding {
  return finding({
    id: "refusal-missing",
    severity: "error",
    summary:
      "SQLite takes the product's writes, although it was left for Postgres: what is written there is in nobody's sight, and a sync is refused. See lifeboat migrate status",
  });
}
