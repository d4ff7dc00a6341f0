import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { quantile } from "../spread.ts";

const POLL_MS = 20;
/** `<first>-<last>.<instant>.wal.zst` (decision 12). */
const SEGMENT = /^\d+-\d+\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z\.wal\.zst$/;

/**
 * Watches from outside how far the log in a repository lags behind, without a word from the command: between two
 * segments what would be lost grows, from the last commit that the older one holds until the newer one has its name.
 */
export class SegmentWatch implements AsyncDisposable {
  readonly #folder: string;
  readonly #seen = new Map<string, { instant: number; appeared: number }>();
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#running = this.#run();
  }

  /**
   * What a failure at any instant would have lost, in seconds: its 95th percentile over time, and the worst.
   * @param writing the span in which the database was written to all the time
   */
  lag(writing: { from: number; to: number }): { p95: number; worst: number } {
    const seen = [...this.#seen.values()]
      .filter(({ appeared }) => appeared > writing.from && appeared < writing.to)
      .toSorted((a, b) => a.appeared - b.appeared);
    const lags: number[] = [];
    let newest = 0;
    for (const [index, { instant, appeared }] of seen.entries()) {
      // Segments that were merged appear once more, and bring nothing new.
      newest = Math.max(newest, instant);
      const next = seen[index + 1]?.appeared ?? appeared;
      for (let at = appeared; at < next; at += 10) lags.push((at - newest) / 1000);
      if (next > appeared) lags.push((next - newest) / 1000);
    }
    return { p95: quantile(lags, 0.95), worst: quantile(lags, 1) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      for (const lineage of await entriesOf(this.#folder))
        for (const name of await entriesOf(join(this.#folder, lineage))) this.#see(name);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #see(name: string): void {
    const [, year, month, day, hour, minute, second] = SEGMENT.exec(name) ?? [];
    if (year === undefined || this.#seen.has(name)) return;
    const instant = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    this.#seen.set(name, { instant, appeared: Date.now() });
  }
}

/** Empty while there is no such folder yet. */
function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
