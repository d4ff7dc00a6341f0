import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import type { TargetAddress } from "../request.ts";
import { breakOnAbort } from "./break-connection.ts";
import { connectTarget, SYNC_SESSION_NAME } from "./connect.ts";
import { serverError } from "./target-error.ts";

/** Between two tries to connect again: twice as long each time, up to the last. */
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 30_000;
/** No such role, database or right (classes 28, 3D, 42): waiting changes nothing. */
const DENIED = /^(28|3D|42)/;

/** A connection to the target that is made anew where the server was away; for work that outlives a restart. */
export class TargetLink {
  readonly #address: TargetAddress;
  readonly #signal: AbortSignal;
  #client: Client;

  private constructor(address: TargetAddress, signal: AbortSignal, client: Client) {
    this.#address = address;
    this.#signal = signal;
    this.#client = client;
    breakOnAbort(client, signal);
  }

  /**
   * @param signal after it no server is waited for that hangs
   * @throws LifeboatError those of `connectTarget`
   */
  static async open(address: TargetAddress, signal: AbortSignal): Promise<TargetLink> {
    return new TargetLink(address, signal, await connectSync(address, signal));
  }

  get client(): Client {
    return this.#client;
  }

  /**
   * Connects again, with growing pauses, until the server answers.
   * @param failing is told of each try that failed
   * @returns false where the signal came first
   * @throws LifeboatError where it answers and lets nobody in
   */
  async again(signal: AbortSignal, failing: (cause: unknown) => void): Promise<boolean> {
    await this.#client.end();
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(LAST_PAUSE_MS, 2 * pause)) {
      await sleep(pause, undefined, { signal }).catch(() => {
        // Stopped by hand: the loop's own question ends it.
      });
      if (signal.aborted) break;
      try {
        this.#client = await connectSync(this.#address);
        breakOnAbort(this.#client, this.#signal);
        return true;
      } catch (cause) {
        if (!isAway(cause)) throw cause;
        failing(cause);
      }
    }
    return false;
  }

  /** May be called when the connection broke. */
  async end(): Promise<void> {
    await this.#client.end();
  }
}

/** Told from other runs, so that a cutover knows that it will be let go of the migration's lock. */
async function connectSync(address: TargetAddress, signal?: AbortSignal): Promise<Client> {
  const client = await connectTarget(address, signal);
  await client.query(`SET application_name = '${SYNC_SESSION_NAME}'`);
  return client;
}

/** Whether a failure means that the server can't be reached now. */
export function isAway(cause: unknown): boolean {
  const named = serverError(cause);
  if (!(named instanceof LifeboatError)) return false;
  if (named.code === "POSTGRES_LOST") return true;
  const { code } = (named.cause ?? {}) as { code?: string };
  return named.code === "POSTGRES_UNREACHABLE" && !DENIED.test(code ?? "");
}
