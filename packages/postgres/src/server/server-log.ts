import { appendFileSync } from "node:fs";
import { reasonOf } from "@lifeboat/core";

/** Lines kept for an error message; a server in recovery writes one a second, one that fails a few dozen. */
const KEPT = 500;

/** What a server says to clients that come too early. It is logged as FATAL and means nothing. */
const TOO_EARLY =
  /the database system is (starting up|not (yet )?accepting connections|shutting down)/;

/**
 * What a server writes to its standard error, line by line, as `log_line_prefix=''` leaves it:
 * `FATAL:  …`, further lines of the same message after a tab, then `DETAIL:  …` and `HINT:  …`.
 */
export class ServerLog {
  readonly #lines: string[] = [];
  readonly #listeners: ((line: string) => void)[] = [];

  /** Reads the stream to its end. */
  async follow(lines: AsyncIterable<string>): Promise<void> {
    for await (const line of lines) {
      this.#lines.push(line);
      if (this.#lines.length > KEPT) this.#lines.shift();
      for (const listener of this.#listeners) listener(line);
    }
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Writes each line to a file as well, behind what stands there. Where that fails, such as on a full disk, the file ends there, and
   * the lines say so: no server is given up for it.
   */
  copyTo(file: string): void {
    let isWhole = true;
    this.onLine((line) => {
      if (!isWhole) return;
      try {
        appendFileSync(file, `${line}\n`, { mode: 0o600 });
      } catch (cause) {
        isWhole = false;
        this.#lines.push(`${file} ends before this: ${reasonOf(cause)}`);
      }
    });
  }

  /** The last lines, oldest first. */
  lines(): readonly string[] {
    return this.#lines;
  }

  /** The FATAL and PANIC messages with their details and hints, in one line each. */
  failures(): readonly string[] {
    const failures: string[] = [];
    let open = false;
    for (const line of this.#lines) {
      const starts = /^(FATAL|PANIC): {2}/.test(line);
      const continues: boolean = open && /^(\t|DETAIL: |HINT: )/.test(line);
      open = (starts && !TOO_EARLY.test(line)) || continues;
      if (!open) continue;
      if (starts) failures.push(line);
      else failures.push(`${failures.pop() ?? ""} ${line.trim()}`);
    }
    return failures;
  }

  /** What to say of a server that ended: its failures, or its last lines when it gave no reason. */
  reason(): string {
    const said = this.failures();
    const lines = said.length > 0 ? said : this.#lines.slice(-3);
    return lines.length > 0 ? lines.join("; ") : "it said nothing";
  }
}
