import { LifeboatError, reasonOf } from "@lifeboat/core";
import type { Client } from "pg";
import { breakable } from "./break-connection.ts";
import { type StoodInFor, standIn } from "./stand-in.ts";

/** What each of them is known by, once it is over. */
const OVER = { finish: "NOTHING_TO_FINISH", abort: "NOTHING_TO_ABORT" } as const;

/**
 * Does what ends a migration, which a run that is broken off leaves as a kill does. Where the server did not answer any more, what the
 * broken session holds there, such as locks of the product's tables, is ended by another one, and what can't be known is told.
 * @throws LifeboatError `FINISH_STOPPED`, `ABORT_STOPPED`
 */
export async function endedOrTold(
  run: StoodInFor & { readonly follower?: Client },
  verb: keyof typeof OVER,
  work: () => Promise<void>,
): Promise<void> {
  const { client, follower, signal } = run;
  try {
    await breakable(follower ? [client, follower] : client, signal, work);
  } catch (cause) {
    if (!signal.aborted || cause !== signal.reason) throw cause;
    const held = await standIn(run, async () => "").catch(
      (failure: unknown) =>
        ` Nor could its session be ended there (${reasonOf(failure)}): Postgres ends it by itself within two minutes, and until then the product's writes may wait.`,
    );
    throw stopped(verb, held, cause);
  }
}

function stopped(verb: keyof typeof OVER, held: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: `${verb.toUpperCase()}_STOPPED`,
    message: `the ${verb} was broken off (${reasonOf(cause)}): which of its steps Postgres has done can't be told.${held}`,
    remedy: `run lifeboat migrate ${verb} again as soon as Postgres can be reached: it ends what is left; ${OVER[verb]} then means that nothing is`,
    cause,
  });
}
