export { createDatabase, type NewDatabase } from "./create.ts";
export type { Acknowledged } from "./ledger.ts";
export { openPostgres } from "./postgres-session.ts";
export { runTraffic, type Traffic, type Transaction } from "./program.ts";
export { nanoid, Random, uuid } from "./random.ts";
export { epoch, number, type Session } from "./session.ts";
export { openSqlite } from "./sqlite-session.ts";
export { insert, insertNumbered, replace, someKey, someNumber } from "./statements.ts";
export type { Row, Value } from "./value.ts";
