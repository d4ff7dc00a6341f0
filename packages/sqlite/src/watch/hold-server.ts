import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { makeDirectories, reasonOf } from "@lifeboat/core";
import type { HeldFile } from "../hold/held.ts";
import { type HoldAnswer, type HoldAsk, LONGEST_WORD } from "./hold-words.ts";
import type { IdleLog } from "./idle-log.ts";
import { onLine } from "./lines.ts";
import type { ShippedDatabase } from "./shipped-database.ts";

const LONGEST_PATIENCE_MS = 60_000;

export interface HoldServerInit {
  /** In a directory of this account alone. */
  readonly path: string;
  readonly shipped: ShippedDatabase;
  /** Of the database file that is held now. */
  identity(): string;
  /** What is known of an idle database. */
  idle(): IdleLog | null;
  /** Size of the WAL, which grows for as long as the file is held, and by how much it may. */
  walBytes(): number;
  readonly mostGrowth: number;
}

const LOOK_EVERY_MS = 1000;

/**
 * Lets a backup in another process ask the watch to hold the file still: our readers keep its own pin out, and
 * only who holds the WAL can copy it back. The hold lasts for as long as the backup's connection does, so
 * neither side's death leaves anything behind.
 */
export class HoldServer {
  readonly #init: HoldServerInit;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(init: HoldServerInit) {
    this.#init = init;
    this.#server = createServer((socket) => this.#serve(socket));
    // A backup that finds nobody copies in another way, which is slower and as right.
    this.#server.on("error", () => {});
  }

  /**
   * Listens from now on; a socket that a killed watch left is replaced, since only one watch of a database runs.
   * @returns undefined where there can be no socket, as at a path of more than 107 bytes: then others cannot ask
   */
  static async open(init: HoldServerInit): Promise<HoldServer | undefined> {
    await makeDirectories(dirname(init.path), 0o700);
    await rm(init.path, { force: true });
    const holder = new HoldServer(init);
    const listening = Promise.withResolvers<boolean>();
    holder.#server.once("error", () => listening.resolve(false));
    holder.#server.listen(init.path, () => listening.resolve(true));
    return (await listening.promise) ? holder : undefined;
  }

  /** Whoever holds by us does no longer. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    await closed.promise;
  }

  #serve(socket: Socket): void {
    const gone = new AbortController();
    let held: HeldFile | undefined;
    let asked = false;
    let start = 0;
    // A backup that is stopped, and does not end, costs the app its disk otherwise.
    const guard = setInterval(() => {
      if (held && this.#init.walBytes() - start > this.#init.mostGrowth) socket.destroy();
    }, LOOK_EVERY_MS);
    this.#sockets.add(socket);
    // A connection that breaks is one that ends.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(guard);
      this.#sockets.delete(socket);
      gone.abort();
      held?.release();
    });
    onLine(socket, LONGEST_WORD, (line) => {
      const ask = parsed(line);
      if (ask?.ask === "still") say(socket, { still: held?.isHeld?.() ?? false });
      else if (ask?.ask === "idle") say(socket, { idle: this.#init.idle() });
      else if (ask?.ask === "hold" && !asked) {
        asked = true;
        this.#hold(ask.patienceMs, gone.signal).then(
          ({ file, answer }) => {
            held = file;
            start = this.#init.walBytes();
            if (gone.signal.aborted) file?.release();
            else say(socket, answer);
          },
          (thrown: unknown) => socket.destroy(new Error(reasonOf(thrown))),
        );
      } else socket.destroy();
    });
  }

  async #hold(
    wanted: number,
    signal: AbortSignal,
  ): Promise<{ file: HeldFile | undefined; answer: HoldAnswer }> {
    const { shipped, identity } = this.#init;
    const patienceMs = Math.min(Number(wanted) || 0, LONGEST_PATIENCE_MS);
    const file = await shipped.hold({ patienceMs, signal });
    const { lineage } = shipped;
    if (!file?.place) {
      file?.release();
      return { file: undefined, answer: { held: false, lineage } };
    }
    const { place, facts, gateMs = 0 } = file;
    const consistentAt = file.consistentAt.toISOString();
    return {
      file,
      answer: { held: true, lineage, identity: identity(), consistentAt, place, facts, gateMs },
    };
  }
}

function say(socket: Socket, answer: HoldAnswer): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
}

function parsed(line: string): HoldAsk | undefined {
  try {
    return JSON.parse(line) as HoldAsk;
  } catch {
    // No words of ours: the connection is ended.
    return undefined;
  }
}
