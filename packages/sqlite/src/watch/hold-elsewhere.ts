import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type DatabaseFolder, LifeboatError, watchName } from "@lifeboat/core";
import type { HeldFile } from "../hold/held.ts";
import { isLineage } from "../log/name.ts";
import { fileAt } from "./file-at.ts";
import { type Held, type HoldAsk, isHeld, LONGEST_WORD } from "./hold-words.ts";
import { type IdleLog, isIdleLog } from "./idle-log.ts";
import { onLine } from "./lines.ts";
import type { ShippedDatabase } from "./shipped-database.ts";

/** For an answer, beyond what was asked to be waited for: a checkpoint of a large WAL takes its time. */
const ANSWER_MS = 30_000;
/** What a watch knows it says at once; one that is stopped says nothing. */
const WORD_MS = 5_000;

/**
 * A database whose log a watch ships in another process of this account.
 *
 * Nothing is believed of that watch but that it lives: after the last byte was read it is asked whether it still holds. A
 * process that answers has not died, and so has not lost its locks; silence is taken for no.
 */
export class ShippedElsewhere implements ShippedDatabase {
  /** As the watch said when it was asked last; null before. */
  lineage: string | null = null;
  isGone = false;
  readonly #path: string;
  readonly #database: string;
  #socket: Socket | undefined;
  #answer: ((answer: unknown) => void) | undefined;

  private constructor(path: string, database: string) {
    this.#path = path;
    this.#database = database;
  }

  /** @returns undefined when no watch listens there */
  static async find(path: string, database: string): Promise<ShippedElsewhere | undefined> {
    const found = new ShippedElsewhere(path, database);
    return (await found.#connect()) ? found : undefined;
  }

  async hold({
    patienceMs,
    signal,
  }: {
    readonly patienceMs: number;
    readonly signal: AbortSignal;
  }): Promise<HeldFile | undefined> {
    const stop = () => this.close();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const answer = await this.#ask({ ask: "hold", patienceMs }, patienceMs + ANSWER_MS);
      signal.throwIfAborted();
      if (isHeld(answer) && answer.identity === fileAt(this.#database)) {
        this.lineage = answer.lineage;
        return this.#heldFile(answer);
      }
      this.lineage = lineageIn(answer);
      this.isGone = answer === undefined;
      this.close();
      return undefined;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** What the watch knows of an idle database; undefined where it does not say. */
  async idle(): Promise<IdleLog | undefined> {
    const answer = (await this.#ask({ ask: "idle" }, WORD_MS)) as { idle?: unknown } | undefined;
    return isIdleLog(answer?.idle) ? answer.idle : undefined;
  }

  /** Whether it says nothing although it lives: somebody has stopped it, or it is stuck. */
  async isSilent(): Promise<boolean> {
    const answer = await this.#ask({ ask: "idle" }, WORD_MS);
    return answer === undefined && this.#socket?.destroyed === false;
  }

  /** May be called twice. */
  close(): void {
    this.#socket?.destroy();
  }

  #heldFile({ consistentAt, place, facts, gateMs }: Held): HeldFile {
    return {
      way: "pin",
      consistentAt: new Date(consistentAt),
      place,
      facts,
      confirm: async () => {
        const answer = await this.#ask({ ask: "still" }, ANSWER_MS);
        if ((answer as { still?: unknown } | undefined)?.still !== true)
          throw holdLost(this.#database);
      },
      release: () => {
        this.close();
        return gateMs;
      },
    };
  }

  /** Undefined when the watch is gone, or says nothing for so long. */
  #ask(ask: HoldAsk, patienceMs: number): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    if (!this.#socket || this.#socket.destroyed) return Promise.resolve(undefined);
    const timer = setTimeout(() => resolve(undefined), patienceMs);
    this.#answer = resolve;
    this.#socket.write(`${JSON.stringify(ask)}\n`);
    return promise.finally(() => clearTimeout(timer));
  }

  #connect(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(this.#path, () => resolve(true));
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      resolve(false);
      this.#answer?.(undefined);
    });
    onLine(socket, LONGEST_WORD, (line) => {
      try {
        this.#answer?.(JSON.parse(line));
      } catch {
        // No words of a watch of ours.
        socket.destroy();
      }
    });
    return promise;
  }
}

/** Of a watch that could not hold the file still: a copy in another way lies in its log as well. */
function lineageIn(answer: unknown): string | null {
  const { held, lineage } = (answer ?? {}) as { held?: unknown; lineage?: unknown };
  return held === false && typeof lineage === "string" && isLineage(lineage) ? lineage : null;
}

/** Where the watch of a database listens. @param directory of this account alone */
export function holdSocket(directory: string, folder: DatabaseFolder): string {
  return join(directory, `${watchName(folder)}.sock`);
}

export function isHoldLost(thrown: unknown): boolean {
  return thrown instanceof LifeboatError && thrown.code === "HOLD_LOST";
}

function holdLost(path: string): LifeboatError {
  return new LifeboatError({
    code: "HOLD_LOST",
    message: `the watch that held ${path} still ended while it was copied, so the copy is not known to be one state`,
    remedy: "run the backup again",
    details: { path },
  });
}
