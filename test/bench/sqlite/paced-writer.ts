import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { WriterReport } from "./keep-pace.ts";

const LEDGER = fileURLToPath(new URL("./paced-writer-process.ts", import.meta.url));

/** A process that commits at a steady pace until it is disposed of. */
export class PacedWriter implements AsyncDisposable {
  readonly #child: ChildProcess;

  readonly #gone: AbortSignal;

  private constructor(child: ChildProcess) {
    this.#child = child;
    const gone = new AbortController();
    this.#gone = gone.signal;
    child.once("exit", (code) => gone.abort(new Error(`the writer ended with status ${code}`)));
  }

  /** @param program what it writes: into a ledger beside documents, unless another is named */
  static async start(
    path: string,
    commitsPerSecond: number,
    synchronous: "FULL" | "NORMAL" = "NORMAL",
    program = LEDGER,
  ): Promise<PacedWriter> {
    const child = fork(program, [path, String(commitsPerSecond), synchronous]);
    await once(child, "message");
    return new PacedWriter(child);
  }

  /** What it did since the last report. @throws Error when it has ended: what it says itself stands on stderr */
  async report(): Promise<WriterReport> {
    const answer = once(this.#child, "message", { signal: this.#gone });
    this.#child.send("report");
    const [report] = await answer;
    return report as WriterReport;
  }

  /** What it did while `work` ran. */
  async during(work: () => Promise<unknown>): Promise<WriterReport> {
    await this.report();
    await work();
    return this.report();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.disconnect();
    await gone;
  }
}
