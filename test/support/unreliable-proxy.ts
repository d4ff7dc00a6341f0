import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";

/** A connection through the proxy. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  fromServer: number;
  ended: boolean;
  silent: boolean;
  halfOpen: boolean;
}

/** How one direction of a connection is passed on. */
interface Passing {
  hushed(): boolean;
  readonly isClient: boolean;
  passed(bytes: number): void;
}

/**
 * A TCP proxy before a server at 127.0.0.1 that goes wrong on purpose: it cuts connections in the midst, or holds
 * them open and passes nothing on, as a firewall does that has forgotten them, or passes all in small pieces, or slowly.
 */
export class UnreliableProxy implements AsyncDisposable {
  readonly #target: number;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #silent = false;
  #cutAfter = Number.POSITIVE_INFINITY;
  #piece = Number.POSITIVE_INFINITY;
  #bytesPerSecond = Number.POSITIVE_INFINITY;
  #made = 0;
  #fromServers = 0;
  #cuts = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#listener = createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<UnreliableProxy> {
    const proxy = new UnreliableProxy(target);
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    return proxy;
  }

  /** The same URL, through the proxy. */
  through(url: string): string {
    const address = this.#listener.address();
    const changed = new URL(url);
    changed.port = String(typeof address === "object" ? address?.port : "");
    return changed.href;
  }

  /** Connections that there were. */
  get made(): number {
    return this.#made;
  }

  /** Bytes that servers have sent through it. */
  get fromServers(): number {
    return this.#fromServers;
  }

  /** Connections that it cut. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Cuts each connection, also a later one, once the server has sent so many bytes on it; never again after `times`. */
  cutAfter(bytes: number, times = Number.POSITIVE_INFINITY): void {
    this.#cutAfter = bytes;
    const last = this.#cuts + times;
    this.#whenCut = () => {
      if (this.#cuts >= last) this.#cutAfter = Number.POSITIVE_INFINITY;
    };
  }
  #whenCut = () => {};

  cutAll(): void {
    for (const pair of this.#pairs) this.#cut(pair);
  }

  /** The server notices at last which clients were cut off. */
  noticeCuts(): void {
    for (const pair of this.#pairs) if (pair.halfOpen) this.#cut(pair);
  }

  /** Cuts the clients off, while the server still takes each of their connections for alive: until `noticeCuts`. */
  cutClients(): void {
    for (const pair of this.#pairs) {
      pair.halfOpen = true;
      pair.silent = true;
      pair.client.resetAndDestroy();
    }
  }

  /** From now on connections stay open, new ones are taken, and nothing is passed on, either way. */
  silence(): void {
    this.#silent = true;
    for (const pair of this.#pairs) pair.silent = true;
  }

  /** Passes on again, for connections made from now on; the silent ones stay so. */
  speak(): void {
    this.#silent = false;
  }

  /** Falls silent as a client says this, which its server does not hear any more. */
  silenceAt(words: string, then: () => void): void {
    this.#heard = (said) => {
      if (!said.includes(words)) return;
      this.#heard = () => {};
      this.silence();
      then();
    };
  }
  #heard: (said: Buffer) => void = () => {};

  /** Passes everything on in pieces of so many bytes. */
  fragment(bytes: number): void {
    this.#piece = bytes;
  }

  /** Passes on so many bytes a second of each connection at most. */
  slow(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutAll();
    const closed = once(this.#listener, "close");
    this.#listener.close();
    await closed;
  }

  #accept(client: Socket): void {
    this.#made++;
    const server = connect(this.#target, "127.0.0.1");
    const pair: Pair = {
      client,
      server,
      fromServer: 0,
      ended: false,
      silent: this.#silent,
      halfOpen: false,
    };
    this.#pairs.add(pair);
    const hushed = () => pair.silent;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // Who ends it is seen by the other side's close.
      socket.on("error", () => {});
      socket.on("close", () => {
        if (socket === server || !pair.halfOpen) this.#cut(pair, false);
      });
    }
    this.#pass(client, server, { hushed, isClient: true, passed: () => {} });
    const passed = (bytes: number) => {
      pair.fromServer += bytes;
      this.#fromServers += bytes;
      if (pair.fromServer < this.#cutAfter) return;
      this.#cut(pair);
      this.#whenCut();
    };
    this.#pass(server, client, { hushed, isClient: false, passed });
  }

  async #pass(from: Socket, to: Socket, { hushed, isClient, passed }: Passing): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        if (isClient) this.#heard(chunk);
        for (let at = 0; at < chunk.length; at += this.#piece) {
          if (hushed()) break;
          const piece = chunk.subarray(at, at + this.#piece);
          if (!to.write(piece)) await Promise.race([once(to, "drain"), once(to, "close")]);
          passed(piece.length);
          if (Number.isFinite(this.#piece)) await turn();
          if (Number.isFinite(this.#bytesPerSecond))
            await delay((piece.length / this.#bytesPerSecond) * 1000);
        }
      }
      if (!hushed()) to.end();
    } catch {
      // It was cut, by us or by either side.
      if (!hushed()) to.destroy();
    }
  }

  #cut(pair: Pair, onPurpose = true): void {
    if (pair.ended) return;
    pair.ended = true;
    if (onPurpose) this.#cuts++;
    this.#pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }
}
