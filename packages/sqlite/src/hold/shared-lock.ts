import { beginRead, connect, patiently } from "../driver.ts";
import { factsOf, type HeldFile } from "./held.ts";

/**
 * Holds the file of a rollback-journal database still by a read transaction. Nobody can commit until
 * it is released: the price of a consistent copy outside WAL mode (sqlite.org/lockingv3.html).
 * A hot journal is rolled back on the way, as every reader does.
 * @throws SqliteError busy when writers did not let it in for the whole patience
 */
export async function holdByReading(
  path: string,
  options: { readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<HeldFile> {
  const connection = connect(path, { readonly: false });
  try {
    await patiently(options.patienceMs, options.signal, () => beginRead(connection));
    const lockedAt = performance.now();
    const consistentAt = new Date();
    const facts = factsOf(connection);
    let heldMs: number | undefined;
    return {
      way: "shared-lock",
      consistentAt,
      facts,
      place: null,
      release() {
        connection.close();
        heldMs ??= performance.now() - lockedAt;
        return heldMs;
      },
    };
  } catch (thrown) {
    connection.close();
    throw thrown;
  }
}
