import { createInterface } from "node:readline";
import Database from "better-sqlite3";

/** An application in a process of its own: runs each line of its input on a database, and answers with a line. */
const database = new Database(process.argv[2] as string, { timeout: 60_000 });
for await (const line of createInterface({ input: process.stdin })) {
  const statement = database.prepare(JSON.parse(line));
  const rows = statement.reader ? statement.raw().all() : [];
  if (!statement.reader) statement.run();
  process.stdout.write(`${JSON.stringify(rows)}\n`);
}
database.close();
