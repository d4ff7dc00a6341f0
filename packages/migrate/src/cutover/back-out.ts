import { refusalOf } from "../freeze.ts";
import { abandon } from "../target/abandon.ts";
import { breakable, isBroken } from "../target/break-connection.ts";
import { halfDone } from "./cutover-failures.ts";
import { type CutoverLeft, giveBack } from "./give-back.ts";

/**
 * Takes back what a cutover has begun, after its failure.
 * @param step the signal of the step that failed
 * @throws LifeboatError `CUTOVER_HALF_DONE`, which says where SQLite stands
 */
export async function backOut(left: CutoverLeft, cause: unknown, step: AbortSignal): Promise<void> {
  const { client, source } = left;
  try {
    await breakable(client, step, () => abandon(client)).catch((failure: unknown) => {
      // Locks of a transaction that was not ended would be in the way; without its connection there is none.
      if (!isBroken(client)) throw failure;
    });
    await giveBack(left);
  } catch (failure) {
    throw halfDone(cause, failure, refusalOf(source.db));
  }
}
