import { LifeboatError, type Report, reasonOf, type Step } from "@lifeboat/core";
import { entryAt, logEnd } from "../capture/change-log.ts";
import { forgetApplied } from "../capture/forget-applied.ts";
import { capturedFor, installCapture } from "../capture/install-capture.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import type { CompareInput } from "../compare/compare-input.ts";
import { compareTable, compareUnwritten, type TableComparison } from "../compare.ts";
import { type Applied, ChangeApplier, FAR_BEHIND } from "../forward/apply-changes.ts";
import { refusedValue } from "../forward/refused-value.ts";
import { removeTraces } from "../freeze.ts";
import { addKeptRowids, followedTable, indexKeptRowids } from "../kept-rowid.ts";
import type { LiveSource } from "../live-source.ts";
import type { PlannedTable } from "../plan.ts";
import { ProductPace } from "../product-pace.ts";
import { standingOf } from "../target/journal.ts";
import { targetError } from "../target/target-error.ts";
import { assertComparedEqual } from "./assert-compared-equal.ts";
import { copyLiveTable } from "./copy-table.ts";
import { COMPARE, type LoadReport, LoadRun, type LoadRunInit } from "./load-run.ts";
import { LoadSides } from "./load-sides.ts";
import { RowReader } from "./row-reader.ts";

/** `adaptive`: rests where the product would else lose more than a tenth of its writes. `full`: as fast as it can. */
export type LoadPace = "adaptive" | "full";

/** Fewer changed rows than this are brought within the look at one table. */
const FEW_ROWS = 500;

/**
 * Loads a database while the product writes to it. First it logs its writes, then it is copied in short reads, each of its own
 * instant; what was written meanwhile is brought from the log, as far as one snapshot goes, and so the target is that
 * snapshot in whole. Only then can keys be built.
 */
export class LiveLoad extends LoadRun {
  readonly #source: LiveSource;
  readonly #applier: ChangeApplier;
  readonly #rests: boolean;
  /** Tables whose comparison has begun: what is brought to them from then on is compared as it is brought. */
  readonly #compared = new Set<string>();
  /** One for each long walk of the product's database. */
  readonly #paces: ProductPace[] = [];
  #isCommitting = false;

  constructor(source: LiveSource, init: LoadRunInit & { readonly pace: LoadPace }) {
    super(init);
    this.#source = source;
    this.#rests = init.pace === "adaptive";
    this.#applier = new ChangeApplier(source, init.client, init.plan, 0n);
  }

  protected override allSteps(): Step[] {
    return [
      { title: "open the journal", run: () => this.begin() },
      {
        title: "log the product's writes",
        run: async () => this.#capture(),
      },
      { title: "create the tables", run: () => this.#createTables() },
      { title: "copy the rows", run: (report) => this.#copy(report) },
      {
        title: "bring what was written meanwhile",
        run: async (report) => void (await this.#bringOnce(report)),
      },
      { title: "build keys and indexes", run: (report) => this.#buildKeys(report) },
      { title: "validate checks", run: (report) => this.ddl(["checks", "statistics"], report) },
      { title: COMPARE, run: (report) => this.#compare(report) },
      {
        title: "validate foreign keys",
        run: (report) => this.ddl(["foreign-keys", "sequences", "views"], report),
      },
      { title: "commit", run: () => this.#commit() },
      {
        title: "forget in SQLite what Postgres holds",
        run: async () => forgetApplied(this.#source, this.#applier.watermark),
      },
      this.closing(),
    ];
  }

  /** A table or column that is gone is met by whatever reads it first. */
  override named(cause: unknown): unknown {
    const { db } = this.#source;
    if (capturedFor(db) !== this.id || schemaSince(db) !== "changed") return cause;
    return new LifeboatError({
      code: "SOURCE_CHANGED",
      kind: "refused",
      message: `the schema of ${this.plan.source.file} was changed while it was loaded; nothing was kept in Postgres`,
      remedy: "run lifeboat migrate load again, by a plan of the schema as it is now",
      details: { file: this.plan.source.file },
      cause,
    });
  }

  /** Leaves SQLite as it was, too, unless Postgres holds the load: without the log of changes it could not be followed. */
  override async abandon(): Promise<void> {
    await super.abandon();
    if (capturedFor(this.#source.db) !== this.id || (await this.#mayBeLoaded())) return;
    this.#source.write(() => removeTraces(this.#source.db));
  }

  async #mayBeLoaded(): Promise<boolean> {
    if (!this.#isCommitting) return false;
    try {
      return (await standingOf(this.client, this.id))?.phase !== "loading";
    } catch (cause) {
      // Nobody can tell, which the commit's own failure says; the next load asks again.
      if (targetError(cause) instanceof LifeboatError) return true;
      throw cause;
    }
  }

  override report(): LoadReport {
    const restedSeconds = this.#paces.reduce((sum, pace) => sum + pace.restedSeconds, 0);
    return { ...super.report(), restedSeconds };
  }

  #capture(): void {
    installCapture(this.#source.db, { plan: this.plan, migration: this.id });
  }

  /** By the log, which tells how fast the product writes. */
  #newPace(): ProductPace | undefined {
    if (!this.#rests) return undefined;
    const pace = new ProductPace(() => logEnd(this.#source.db) ?? 0n);
    this.#paces.push(pace);
    return pace;
  }

  async #createTables(): Promise<void> {
    await this.ddl(["tables"]);
    await addKeptRowids(this.client, this.plan);
  }

  async #copy(report: Report): Promise<void> {
    const { db, path } = this.#source;
    const pace = this.#newPace();
    await using threads = new AsyncDisposableStack();
    let started: RowReader | undefined;
    const reader = () => {
      started ??= threads.use(new RowReader(path));
      return started;
    };
    await this.copyAll(report, async ({ table, ...input }) => {
      try {
        return await copyLiveTable({
          ...input,
          db,
          reader,
          table: followedTable(table),
          pace,
        });
      } catch (cause) {
        throw refusedValue(table, cause) ?? cause;
      }
    });
  }

  /** One look makes the target one state in whole; without indexes each further one would read the tables through. */
  async #bringOnce(report: Report): Promise<number> {
    const applied = await this.#source.snapshot(() => this.#apply());
    const brought = applied === null ? 0 : rowsOf(applied);
    report({ note: `${brought} rows brought` });
    return brought;
  }

  /** As long as each round is much shorter than the one before: a product may write faster than Postgres takes. */
  async #catchUp(report: Report): Promise<void> {
    let last = Number.POSITIVE_INFINITY;
    for (;;) {
      const brought = await this.#bringOnce(report);
      if (brought < FEW_ROWS || brought > last / 2) return;
      last = brought;
    }
  }

  async #buildKeys(report: Report): Promise<void> {
    await this.ddl(["keys", "indexes"], report);
    await indexKeptRowids(this.client, this.plan);
  }

  /**
   * Part by part, each in a snapshot of its own, and without the rows that were written since Postgres was brought up to SQLite: those
   * are compared as they are brought. A table whose rows have new rowids since is compared once more, in one snapshot to which
   * Postgres is brought first.
   */
  async #compare(report: Report): Promise<void> {
    const { client, plan, signal } = this;
    const { db } = this.#source;
    const watermark = () => this.#applier.watermark;
    const pace = this.#newPace();
    const sides = new LoadSides({ source: this.#source, client, plan, watermark, pace, signal });
    for (const table of plan.tables.map(followedTable)) {
      report({ note: table.name });
      const input = { db, client, schema: plan.schema, table, report, signal };
      this.#compared.add(table.name);
      const compared = await compareUnwritten({ ...input, sides });
      assertComparedEqual(sides.isKnown(table) ? compared : await this.#compareAtOnce(input));
    }
    // More than that a sync brings, in shorter reads, and compares it as well.
    if (this.#applier.waiting <= FAR_BEHIND) await this.#catchUp(report);
  }

  async #compareAtOnce(input: CompareInput): Promise<TableComparison> {
    await this.#catchUp(input.report);
    return await this.#source.snapshot(async () => {
      await this.#apply();
      return await compareTable(input);
    });
  }

  async #apply(): Promise<Applied | null> {
    const compare = ({ name }: PlannedTable) => this.#compared.has(name);
    const applied = await this.#applier.apply({ compare }, this.signal);
    if (applied !== null) this.#applier.committed(applied);
    return applied;
  }

  async #commit(): Promise<void> {
    this.#source.makeDurable();
    const { watermark } = this.#applier;
    this.#isCommitting = true;
    try {
      const verified = this.compares ? { verifiedAt: new Date().toISOString() } : {};
      const lastEntry = entryAt(this.#source.db, watermark);
      await this.commit({ watermark: String(watermark), lastEntry, ...verified });
    } catch (cause) {
      throw lostAtCommit(cause);
    }
  }
}

function lostAtCommit(cause: unknown): unknown {
  const named = targetError(cause);
  if (!(named instanceof LifeboatError) || named.code !== "POSTGRES_LOST") return named;
  return new LifeboatError({
    code: "POSTGRES_LOST",
    message: `the connection broke while the load was committed: ${reasonOf(cause)}`,
    remedy:
      "see that the server runs, then run lifeboat migrate load again: it ends what was committed, or loads anew; lifeboat migrate status says which",
    cause,
  });
}

function rowsOf({ tables }: Applied): number {
  return tables.reduce((sum, { written, removed }) => sum + written + removed, 0);
}
