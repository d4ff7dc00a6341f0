import type { Report, Step } from "@lifeboat/core";
import type { CompareInput } from "../compare/compare-input.ts";
import { compareTable } from "../compare.ts";
import type { Source } from "../source.ts";
import { assertComparedEqual } from "./assert-compared-equal.ts";
import { assertQuiet } from "./assert-quiet.ts";
import { copyTable } from "./copy-table.ts";
import { COMPARE, LoadRun, type LoadRunInit } from "./load-run.ts";

/**
 * Loads a database that nobody writes to, from one snapshot, and changes nothing in it. What is written meanwhile makes it
 * fail; nothing is captured, so what is loaded can't be followed or cut over without a stop of the product.
 */
export class QuietLoad extends LoadRun {
  readonly #source: Source;

  constructor(source: Source, init: LoadRunInit) {
    super(init);
    this.#source = source;
  }

  protected override allSteps(): Step[] {
    return [
      { title: "open the journal", run: () => this.begin() },
      { title: "create the tables", run: () => this.ddl(["tables"]) },
      { title: "copy the rows", run: (report) => this.#copy(report) },
      { title: "build keys and indexes", run: (report) => this.ddl(["keys", "indexes"], report) },
      {
        title: "validate constraints",
        run: (report) => this.ddl(["checks", "foreign-keys"], report),
      },
      {
        title: "set sequences, views and statistics",
        run: (report) => this.ddl(["sequences", "views", "statistics"], report),
      },
      { title: COMPARE, run: (report) => this.#compare(report) },
      {
        title: "see that the source stayed quiet",
        run: (report) => assertQuiet(this.#source, this.plan, this.#compared(report)),
      },
      { title: "commit", run: () => this.commit() },
      this.closing(),
    ];
  }

  async #copy(report: Report): Promise<void> {
    await this.copyAll(report, (input) => copyTable({ ...input, db: this.#source.db }));
  }

  async #compare(report: Report): Promise<void> {
    for (const table of this.plan.tables) {
      report({ note: table.name });
      assertComparedEqual(await compareTable({ ...this.#compared(report), table }));
    }
  }

  #compared(report: Report): Omit<CompareInput, "table"> {
    const { db } = this.#source;
    return { db, client: this.client, schema: this.plan.schema, report, signal: this.signal };
  }
}
