import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Acknowledged } from "@lifeboat/traffic";
import { execa } from "execa";
import type { Show } from "./show.ts";

/** A product at work: a process of its own that writes, and the commits it was told of. */
export class TrafficProcess {
  readonly ledger: Acknowledged[] = [];
  readonly #child: ReturnType<typeof spawnTraffic>;
  #mayFail = false;
  readonly #lines: ReturnType<typeof createInterface>;

  constructor(show: Show, program: string, args: readonly string[], environment = {}) {
    this.#child = spawnTraffic(program, args, environment);
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on("line", (line) => this.ledger.push(JSON.parse(line) as Acknowledged));
    show.atEnd(() => this.stop());
  }

  /**
   * Resolves when this many more commits are acknowledged.
   * @throws Error with its own words when the process has ended
   */
  async acknowledges(count: number): Promise<void> {
    const wanted = this.ledger.length + count;
    while (this.ledger.length < wanted) {
      const ended = this.#child.then(({ stderr, shortMessage }) => {
        throw new Error(stderr || shortMessage);
      });
      await Promise.race([once(this.#lines, "line"), ended]);
    }
  }

  /** Waits until the process has failed, and tells what it said. */
  async lastWords(): Promise<string> {
    this.#mayFail = true;
    return (await this.#child).stderr;
  }

  /**
   * Ends it between two commits. May be called twice.
   * @throws Error with its own words when it had failed before, unless they were asked for
   */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const { exitCode, stderr, shortMessage } = await this.#child;
    if (exitCode !== 0 && !this.#mayFail) throw new Error(stderr || shortMessage);
  }
}

function spawnTraffic(program: string, args: readonly string[], environment: object) {
  // A group of its own: Ctrl-C in a terminal reaches us, and we stop it in order.
  return execa(process.execPath, [program, ...args], {
    env: { ...environment },
    detached: true,
    cleanup: true,
    reject: false,
    buffer: { stdout: false },
    stdin: "ignore",
    forceKillAfterDelay: 5_000,
  });
}
