import { once } from "node:events";
import { createInterface } from "node:readline";
import { LifeboatError } from "@lifeboat/core/errors";
import { execa } from "execa";
import type { Configuration } from "../configuration.ts";

/** Which database it writes to. A URL holds no password: others can read a command line. */
export type TrafficTarget = { readonly database: string } | { readonly url: string };

/** A product that commits more often than that may take so long from its start to its first commit. */
const FIRST_COMMIT_MS = 60_000;

/** What a product that still writes where it no longer lives hears, by design. */
const REFUSED = /moved (?:to Postgres|back to SQLite), writes refused/;

/** The product's traffic in a rehearsal: its own program, in a process of its own. */
export class Traffic implements AsyncDisposable {
  readonly #configured: NonNullable<Configuration["traffic"]>;
  readonly #firstCommitMs: number;
  #process: ReturnType<typeof spawn> | undefined;
  #lines: ReturnType<typeof createInterface> | undefined;
  #commits = 0;

  constructor(
    configured: NonNullable<Configuration["traffic"]>,
    { firstCommitMs = Math.max(FIRST_COMMIT_MS, 3_000 / configured.rate) } = {},
  ) {
    this.#configured = configured;
    this.#firstCommitMs = firstCommitMs;
  }

  /** Commits that it was told of so far, on either side. */
  get commits(): number {
    return this.#commits;
  }

  /**
   * Starts it, and waits until it has committed once.
   * @throws LifeboatError `TRAFFIC_FAILED` with its own words when it ends before, and where it tells of no commit for a minute, or in the time of three at its rate
   */
  async start(target: TrafficTarget, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const child = spawn(this.#configured, target);
    const lines = createInterface({ input: child.stdout });
    this.#process = child;
    this.#lines = lines;
    lines.on("line", () => this.#commits++);
    const ended = child.then((result) => {
      throw failed(this.#configured.program, result);
    });
    // It ends some time, and then nobody waits for the first line any more.
    ended.catch(() => {});
    const late = AbortSignal.timeout(this.#firstCommitMs);
    try {
      await Promise.race([once(lines, "line", { signal: AbortSignal.any([signal, late]) }), ended]);
    } catch (cause) {
      if (!late.aborted || signal.aborted || cause instanceof LifeboatError) throw cause;
      throw silent(this.#configured.program, this.#firstCommitMs / 1000);
    }
  }

  /** As the product's own switch does: ends it on one database and starts it on the other. */
  async switchTo(target: TrafficTarget, signal: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(target, signal);
  }

  /**
   * Ends it by SIGTERM: between two commits where it hears of that, else at once. May be called twice.
   * @throws LifeboatError `TRAFFIC_FAILED` when it had ended by itself, unless it was refused after a freeze
   */
  async stop(): Promise<void> {
    const ended = await this.#end();
    if (!ended || ended.exitCode === 0 || REFUSED.test(ended.stderr)) return;
    // Without a handler of its own it ends of our signal, and by itself it did not.
    if (ended.wasRunning && ended.signal !== undefined) return;
    throw failed(this.#configured.program, ended);
  }

  /** Ends it, however it went: for a rehearsal that has failed already. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<(Ended & { readonly wasRunning: boolean }) | undefined> {
    const child = this.#process;
    this.#process = undefined;
    if (!child) return undefined;
    const wasRunning = child.kill("SIGTERM");
    const { exitCode, signal, stderr, shortMessage } = await child;
    this.#lines?.close();
    return { exitCode, signal, stderr, shortMessage, wasRunning };
  }
}

function spawn({ program, rate }: NonNullable<Configuration["traffic"]>, target: TrafficTarget) {
  const place = "url" in target ? ["--url", target.url] : ["--database", target.database];
  const args = [...place, "--rate", String(rate)];
  const isScript = /\.[cm]?[jt]s$/.test(program);
  // A group of its own: Ctrl-C in a terminal reaches us, and we stop it in order.
  return execa(isScript ? process.execPath : program, isScript ? [program, ...args] : args, {
    detached: true,
    cleanup: true,
    reject: false,
    buffer: { stdout: false },
    stdin: "ignore",
    forceKillAfterDelay: 5_000,
  });
}

interface Ended {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly stderr: string;
  readonly shortMessage?: string | undefined;
}

function silent(program: string, seconds: number): LifeboatError {
  return new LifeboatError({
    code: "TRAFFIC_FAILED",
    message: `the product's traffic (${program}) has told of no commit in ${seconds} s`,
    remedy:
      "run it by hand against a copy of the database: it prints a line for each commit; nothing real was touched",
    details: { program },
  });
}

function failed(program: string, { exitCode, stderr, shortMessage }: Ended): LifeboatError {
  const lines = stderr.trim().split("\n");
  // Of a stack the line that says what, of anything else the last one.
  const said = lines.find((line) => /error|^traffic:/i.test(line)) ?? lines.at(-1);
  const words = said || shortMessage || `exit status ${exitCode}`;
  return new LifeboatError({
    code: "TRAFFIC_FAILED",
    message: `the product's traffic (${program}) ended by itself: ${words}`,
    remedy:
      "run it by hand against a copy of the database, and mend what it says; nothing real was touched",
    details: { program },
  });
}
