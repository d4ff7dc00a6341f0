import type { LogPlace } from "../wal/place.ts";
import { placeNow } from "../wal/place-now.ts";
import { factsOf, type HeldFile } from "./held.ts";
import type { WalConnections } from "./wal-connections.ts";

const STEP_BYTES = 4 << 20;
/** Tries to shut the gate, each as long as the driver's patience with one statement. */
const GATE_TRIES = 5;

/**
 * Copies a WAL-mode database by SQLite's backup API, for when an old reader keeps the pin out. The
 * source connection has a read transaction of its own, so the copy never starts again when others
 * commit, as it otherwise would without end (sqlite.org/backup.html).
 * @param destination a new file
 */
export async function backupOnline(
  connections: WalConnections,
  destination: string,
  options: { readonly signal: AbortSignal },
): Promise<HeldFile> {
  const { consistentAt, gateMs, place } = beginReadGated(connections);
  const facts = factsOf(connections.reader);
  const pages = Math.max(1, Math.floor(STEP_BYTES / facts.pageSize));
  await connections.reader.backup(destination, {
    progress() {
      options.signal.throwIfAborted();
      return pages;
    },
  });
  return {
    way: "backup-api",
    consistentAt,
    facts,
    // The copy differs from the file in its first page only, by the counters that SQLite moves as it closes it.
    place,
    release() {
      connections.close();
      return gateMs;
    },
  };
}

/**
 * Behind the gate the instant is exact. A writer that keeps it out for long makes no difference to
 * the copy, only that commits of the same moment may or may not be in it.
 */
function beginReadGated(connections: WalConnections): {
  readonly consistentAt: Date;
  readonly gateMs: number;
  readonly place: LogPlace | null;
} {
  for (let attempt = 0; attempt < GATE_TRIES; attempt++) {
    let shutAt = 0;
    let found: { consistentAt: Date; place: LogPlace } | undefined;
    const entered = connections.whileGated(() => {
      shutAt = performance.now();
      connections.beginRead();
      const { logged } = connections.progress();
      const { pageSize } = factsOf(connections.reader);
      found = { consistentAt: new Date(), place: placeNow(connections.path, logged, pageSize) };
    });
    if (entered && found) return { ...found, gateMs: performance.now() - shutAt };
  }
  const consistentAt = new Date();
  connections.beginRead();
  return { consistentAt, gateMs: 0, place: null };
}
