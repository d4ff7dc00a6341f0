import { Client } from "pg";
import type { Session } from "./session.ts";
import type { Row, Value } from "./value.ts";

/** Connects to the Postgres database that the product has moved to. */
export async function openPostgres(url: string): Promise<Session> {
  const client = new Client({ connectionString: url });
  // The driver reports a lost connection twice: to the statement that runs, which throws, and here.
  client.on("error", () => {});
  await client.connect();
  const query = (sql: string, values: readonly Value[]) =>
    client.query<Record<string, Value>>(numbered(sql), values.map(parameter));
  return {
    engine: "postgres",
    all: async (sql, ...values): Promise<readonly Row[]> => (await query(sql, values)).rows,
    run: async (sql, ...values) => (await query(sql, values)).rowCount ?? 0,
    transaction: (work) => transaction(client, work),
    close: () => client.end(),
  };
}

async function transaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query("BEGIN");
  try {
    const result = await work();
    await client.query("COMMIT");
    return result;
  } catch (thrown) {
    await client.query("ROLLBACK");
    throw thrown;
  }
}

/** `?` as `$1`, `$2` …; the products' statements hold no other question mark. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll("?", () => `$${++count}`);
}

/** Text form, so that the server reads a 1 as whatever the column is: bigint, boolean or text. */
function parameter(value: Value): string | Buffer | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return String(value);
}
