import { closeSync, writeSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { type DatabaseFolder, isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import { guardedFolder } from "../wal/guarded-folder.ts";
import { parseWalFileName } from "../wal/segment-name.ts";
import { pushInto } from "./push.ts";
import { makePushPipes, PUSH_DIRECTORY, type PushPipes, removePushPipes } from "./push-pipes.ts";
import { onRequestLine } from "./request-lines.ts";

/** So many are pushed at once ahead of the archiver, and so many names of pushed ones are kept. */
const AT_ONCE = 4;
const MOST_AHEAD = 64;
/** A server has one archiver, which asks for one file at a time. What is more is not its asking. */
const MOST_ASKED = 8;

export interface PushServerInit {
  readonly folder: DatabaseFolder;
  readonly dataDirectory: string;
  readonly maxBacklog: number | undefined;
  onStored(name: string): void;
  /** The archiver was told that what it asked for is stored, or given up: it asks in order, so all before it is too. */
  onAnswered?(): void;
  onFailure(reason: string): void;
}

/**
 * Pushes WAL for the server's archiver from a process that stays: its archive_command is a few lines
 * of shell. While the archiver asks for one file, those behind it that are ready are pushed too, several at
 * once; the archiver is told of each only when it is durable in the repository.
 */
export class PushServer {
  readonly #init: PushServerInit;
  readonly #requests: Socket;
  readonly #answers: number;
  /** Files that are being pushed, or were and the archiver has not asked for yet. */
  readonly #pushes = new Map<string, Promise<void>>();
  /** Files that are ready behind them, in the order in which the archiver will ask. */
  #ready: string[] = [];
  /** What it asked for last. */
  #after = "";
  #running = 0;
  #asked = 0;
  #askedAt = performance.now();

  private constructor(init: PushServerInit, pipes: PushPipes) {
    this.#init = init;
    this.#answers = pipes.answers;
    this.#requests = new Socket({ fd: pipes.requests, readable: true, writable: false });
  }

  /** @throws LifeboatError `DATA_DIRECTORY_CLOSED` when we may not write into `pg_wal` */
  static async open(init: PushServerInit): Promise<PushServer> {
    const { dataDirectory } = init;
    const pipes = await makePushPipes(join(dataDirectory, PUSH_DIRECTORY), dataDirectory).catch(
      (cause: unknown) => {
        throw closed(dataDirectory, cause);
      },
    );
    const server = new PushServer({ ...init, folder: guardedFolder(init.folder) }, pipes);
    onRequestLine(server.#requests, (line) => void server.#handle(line));
    return server;
  }

  /** How long nobody has asked, and nothing been pushed, in milliseconds. */
  get idleMs(): number {
    return this.#asked > 0 || this.#running > 0 ? 0 : performance.now() - this.#askedAt;
  }

  /** Finishes what is under way. The archiver goes on with the program itself. */
  async close(): Promise<void> {
    const { dataDirectory } = this.#init;
    try {
      await removePushPipes(join(dataDirectory, PUSH_DIRECTORY), dataDirectory);
    } finally {
      this.#requests.destroy();
      this.#ready = [];
      await Promise.allSettled(this.#pushes.values());
      closeSync(this.#answers);
    }
  }

  async #handle(name: string): Promise<void> {
    if (this.#asked >= MOST_ASKED) return this.#answer(name, "failed");
    this.#asked++;
    this.#askedAt = performance.now();
    const answer = await this.#serve(name).then(
      () => {
        this.#init.onAnswered?.();
        return "stored";
      },
      (cause: unknown) => {
        this.#init.onFailure(`${printable(name)}: ${reasonOf(cause)}`);
        return "failed";
      },
    );
    this.#asked--;
    this.#answer(name, answer);
  }

  #answer(name: string, answer: string): void {
    if (this.#requests.destroyed) return;
    try {
      writeSync(this.#answers, `${name} ${answer}\n`);
    } catch (thrown) {
      // Full of answers that nobody took: who asked waits no longer than its bound, and asks again.
      if (!isSystemError(thrown, "EAGAIN")) throw thrown;
    }
  }

  async #serve(name: string): Promise<void> {
    // It comes from a pipe in a directory that the server's account owns: a name, and nothing else.
    if (!parseWalFileName(name)) throw new Error("is no name of a WAL file");
    this.#after = name;
    const pushing = this.#pushes.get(name) ?? this.#push(name);
    void this.#pushAhead();
    try {
      await pushing;
    } finally {
      this.#pushes.delete(name);
    }
  }

  #push(name: string): Promise<void> {
    const { folder, dataDirectory: directory, maxBacklog, onStored } = this.#init;
    this.#running++;
    const pushing = pushInto(folder, { directory, name, maxBacklog })
      .then(() => onStored(name))
      .finally(() => {
        this.#running--;
      });
    this.#pushes.set(name, pushing);
    pushing.then(
      // At once, and not when the archiver asks next: it waits for one, and the others would end together and leave
      // the cores idle while all of them are being made durable.
      () => this.#pushReady(),
      // Tried again when the archiver asks for it, and reported then. A repository that takes none is left alone until then.
      () => {
        this.#pushes.delete(name);
        this.#ready = [];
      },
    );
    return pushing;
  }

  async #pushAhead(): Promise<void> {
    const status = join(this.#init.dataDirectory, "pg_wal", "archive_status");
    const names = await readdir(status).catch((): string[] => []);
    if (this.#requests.destroyed) return;
    this.#ready = names
      .filter((name) => name.endsWith(".ready"))
      .map((name) => name.slice(0, -".ready".length))
      .filter((name) => parseWalFileName(name) !== undefined)
      .sort();
    this.#pushReady();
  }

  #pushReady(): void {
    while (this.#running < AT_ONCE && this.#pushes.size < MOST_AHEAD) {
      const name = this.#ready.shift();
      if (name === undefined) return;
      if (name > this.#after && !this.#pushes.has(name)) void this.#push(name).catch(() => {});
    }
  }
}

/** As it may stand in a log: whatever the account writes into the pipe comes to us. */
function printable(name: string): string {
  return /^[\w.]{1,64}$/.test(name) ? name : "a request";
}

function closed(dataDirectory: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "DATA_DIRECTORY_CLOSED",
    kind: "usage",
    message: `${dataDirectory}/pg_wal cannot be written to: ${reasonOf(cause)}`,
    remedy:
      "run lifeboat watch as the server's account or as root, or stream the WAL: archive.mode receive",
    details: { path: dataDirectory },
    cause,
  });
}
