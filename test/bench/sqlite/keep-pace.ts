/** What a writing process did since it was last asked. */
export interface WriterReport {
  readonly seconds: number;
  readonly commits: number;
  /** How long each commit took, in milliseconds. */
  readonly p99: number;
  readonly worst: number;
}

/** Behind by more than this, a product's users have gone: what was missed is not made up for. */
const GIVE_UP_MS = 100;

/**
 * Commits at a steady pace, in a process that was started by `fork`, until the other side is gone or writes are refused:
 * then the product has been migrated. Says `ready` once it has begun, and answers any message with a {@link WriterReport}.
 */
export function keepPace(commitsPerSecond: number, commit: () => unknown): void {
  let took: number[] = [];
  let since = performance.now();
  let due = since;

  function work(): void {
    const now = performance.now();
    if (now - due > GIVE_UP_MS) due = now - GIVE_UP_MS;
    while (due <= performance.now()) {
      const started = performance.now();
      if (!isTaken(commit)) return;
      took.push(performance.now() - started);
      due += 1000 / commitsPerSecond;
      // Messages are heard between two commits.
      if (performance.now() - now > GIVE_UP_MS) break;
    }
    setTimeout(work, 0);
  }

  process.on("message", () => {
    const sorted = took.toSorted((a, b) => a - b);
    const report: WriterReport = {
      seconds: (performance.now() - since) / 1000,
      commits: sorted.length,
      p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0,
      worst: sorted.at(-1) ?? 0,
    };
    took = [];
    since = performance.now();
    process.send?.(report);
  });
  process.on("disconnect", () => process.exit());
  work();
  process.send?.("ready");
}

function isTaken(commit: () => unknown): boolean {
  try {
    commit();
    return true;
  } catch (thrown) {
    if ((thrown as { code?: string }).code === "SQLITE_CONSTRAINT_TRIGGER") return false;
    throw thrown;
  }
}
