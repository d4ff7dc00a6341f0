import { createDatabase as create, type NewDatabase } from "@lifeboat/traffic";
import { seed } from "./seed.ts";

/** Makes a FlagBit database with `rows` entries in its audit log. */
export function createDatabase(database: NewDatabase): Promise<void> {
  return create(database, { schema: new URL("schema/sqlite.sql", import.meta.url), seed });
}
