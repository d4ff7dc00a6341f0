import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import pg from "pg";

/** Authentication is done, the number of a process that there is not, and "ready for query, idle" (manual, "Message Formats"). */
const WELCOME = Buffer.from("5200000008000000004b0000000c7fffffff000000015a0000000549", "hex");
const READY = "Z".charCodeAt(0);
const IDLE = "I".charCodeAt(0);

/** A pooler before a server, as PgBouncer is with `pool_mode = transaction`: one session for all clients, from one transaction to the next. */
export class TransactionPooler implements AsyncDisposable {
  readonly #server: Socket;
  readonly #listener: Server;
  readonly #waiting: { readonly client: Socket; readonly bytes: Buffer }[] = [];
  readonly #clients = new Set<Socket>();
  #owner: Socket | undefined;
  #answer = Buffer.alloc(0);

  private constructor(session: pg.Client) {
    this.#server = (session as unknown as { connection: { stream: Socket } }).connection.stream;
    this.#server.removeAllListeners("data");
    this.#server.on("data", (bytes: Buffer) => this.#answered(bytes));
    this.#listener = createServer((client) => this.#accept(client));
  }

  /** @param url with the password, which clients need not know */
  static async start(url: string): Promise<TransactionPooler> {
    const session = new pg.Client(url);
    session.on("error", () => undefined);
    await session.connect();
    const pooler = new TransactionPooler(session);
    pooler.#listener.listen(0, "127.0.0.1");
    await once(pooler.#listener, "listening");
    return pooler;
  }

  through(url: string): string {
    const address = this.#listener.address();
    const changed = new URL(url);
    changed.port = String(typeof address === "object" ? address?.port : "");
    return changed.href;
  }

  #accept(client: Socket): void {
    this.#clients.add(client);
    client.on("error", () => undefined);
    client.once("data", () => {
      client.write(WELCOME);
      client.on("data", (bytes: Buffer) => this.#ask(client, bytes));
    });
  }

  #ask(client: Socket, bytes: Buffer): void {
    if (bytes[0] === "X".charCodeAt(0)) {
      client.end();
      return;
    }
    this.#owner ??= client;
    if (this.#owner === client) this.#server.write(bytes);
    else this.#waiting.push({ client, bytes });
  }

  #answered(bytes: Buffer): void {
    this.#owner?.write(bytes);
    this.#answer = Buffer.concat([this.#answer, bytes]);
    while (this.#answer.length > 4) {
      const length = 1 + this.#answer.readInt32BE(1);
      if (this.#answer.length < length) return;
      const isFree = this.#answer[0] === READY && this.#answer[5] === IDLE;
      this.#answer = this.#answer.subarray(length);
      if (isFree) this.#free();
    }
  }

  #free(): void {
    this.#owner = undefined;
    const next = this.#waiting.shift();
    if (next) this.#ask(next.client, next.bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.#listener.close();
    this.#server.destroy();
    await once(this.#listener, "close");
  }
}
