import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { isSystemError, ownProcessMark } from "@lifeboat/core";

/** Whoever holds a name says at once who it is; one that is stopped says nothing. */
const ANSWER_MS = 1000;
const LONGEST_MARK = 200;

/** A name that another process holds, and the mark of that process; null where it does not say. */
export interface HeldElsewhere {
  readonly mark: string | null;
}

/**
 * The name by which watches of one file know each other whatever account they run as: Linux keeps abstract sockets (unix(7)) outside of
 * all file systems and their rights, gives a name to one process alone, and takes it back when that one ends. Nothing lies in a folder that
 * another account cannot read or write. Containers that share no network do not see each other's, and other systems have none.
 */
export class MachineClaim {
  readonly #server: Server | undefined;

  private constructor(server?: Server) {
    this.#server = server;
  }

  /** @param file as `fileAt` tells it */
  static async take(file: string): Promise<MachineClaim | HeldElsewhere> {
    if (process.platform !== "linux") return new MachineClaim();
    const name = `\0lifeboat-watch-${file}`;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.write(ownProcessMark());
      // Without waiting for the other end: whoever keeps his open, or is stopped, would keep us from ending.
      socket.destroySoon();
    });
    try {
      server.listen(name);
      await once(server, "listening");
      return new MachineClaim(server);
    } catch (thrown) {
      // Where there is no such thing, that is no reason not to ship.
      if (!isSystemError(thrown, "EADDRINUSE")) return new MachineClaim();
      return { mark: await markBehind(name) };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#server) this.#server.close(() => resolve());
    else resolve();
    await promise;
  }
}

async function markBehind(name: string): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connect(name);
  let told = "";
  socket.setEncoding("utf8");
  socket.setTimeout(ANSWER_MS, () => socket.destroy());
  socket.on("data", (text: string) => {
    told += text;
    if (told.length > LONGEST_MARK) socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve(told === "" || told.length > LONGEST_MARK ? null : told));
  return promise;
}
