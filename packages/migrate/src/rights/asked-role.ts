import type { Client } from "pg";

/** What a product does to its tables. */
export const TABLE_RIGHTS = ["SELECT", "INSERT", "UPDATE", "DELETE"] as const;

/** About whom the server is asked, and by which session. */
export interface AskedRole {
  readonly client: Client;
  readonly role: string;
  readonly oid: string;
}

/** Rights that are lacking. */
export interface Lack {
  /** What the product would fail for, such as `SELECT, INSERT on orders`. */
  readonly lacking: readonly string[];
  /** Sequences that it may not ask by name. A row gets its identity all the same. */
  readonly sequences: readonly string[];
  /** The statements that give all of this. */
  readonly grants: readonly string[];
}
