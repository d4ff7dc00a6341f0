import type { Way } from "../details.ts";
import { type Connection, pragmaNumber } from "../driver.ts";
import type { LogPlace } from "../wal/place.ts";

/** What a snapshot says about its database. */
export interface DatabaseFacts {
  readonly pageSize: number;
  readonly pageCount: number;
  /** Only WAL mode is the file's; how a rollback journal ends is each connection's own choice. */
  readonly journalMode: "wal" | "rollback";
  readonly applicationId: number;
  readonly userVersion: number;
  readonly sqliteVersion: string;
}

/** A database file that nobody can change until it is let go. */
export interface HeldFile {
  readonly way: Way;
  /** An instant at which no writer could commit, and whose state the file holds. */
  readonly consistentAt: Date;
  readonly facts: DatabaseFacts;
  /** Where in its WAL that state lies; null where there is no WAL, or where it is not known exactly. */
  readonly place: LogPlace | null;
  /** Whether it is held now; where that is left out, it is for as long as it was not let go. */
  isHeld?(): boolean;
  /** How long writers were kept out, in milliseconds, where that is known before it is let go. */
  readonly gateMs?: number;
  /**
   * Proves, after the last byte was read, that it was held all the while. Left out where only we ourselves can let go.
   * @throws LifeboatError `HOLD_LOST`
   */
  confirm?(): Promise<void>;
  /** Lets go, and tells how many milliseconds writers were kept out. May be called twice. */
  release(): number;
}

/** Reads the facts in the connection's open read transaction. */
export function factsOf(connection: Connection): DatabaseFacts {
  const mode = connection.pragma("journal_mode", { simple: true });
  return {
    pageSize: pragmaNumber(connection, "page_size"),
    pageCount: pragmaNumber(connection, "page_count"),
    journalMode: mode === "wal" ? "wal" : "rollback",
    applicationId: pragmaNumber(connection, "application_id"),
    userVersion: pragmaNumber(connection, "user_version"),
    sqliteVersion: String(connection.prepare("SELECT sqlite_version()").pluck().get()),
  };
}
