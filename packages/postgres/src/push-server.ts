import { closeSync, constants, openSync, writeSync } from "node:fs";
import { chown, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type DatabaseFolder, LifeboatError, reasonOf } from "@lifeboat/core";
import { execa } from "execa";
import { pushInto } from "./archive-push.ts";
import { guardedFolder } from "./guarded-folder.ts";
import { parseWalFileName } from "./wal/segment-name.ts";

/** Where the archiver finds us, from the data directory. */
export const PUSH_DIRECTORY = "pg_wal/lifeboat.push";

/**
 * What the archiver runs: asks us through one named pipe and waits at another. It succeeds only at our word
 * that the file is stored; at anything else, our absence or death included, it fails, and the line that
 * called it goes on with the program itself. The line bounds how long it waits.
 */
const SCRIPT = `here=\${0%/*}
read -r pid < "$here/pid" || exit 1
test ! -d /proc/self || test -d "/proc/$pid" || exit 1
echo "$1" > "$here/request" || exit 1
while read -r name answer; do
  test "$name" = "$1" || continue
  test "$answer" = stored
  exit
done < "$here/answer"
exit 1
`;

/** So many are pushed at once ahead of the archiver, and so many names of pushed ones are kept. */
const AT_ONCE = 4;
const MOST_AHEAD = 64;

export interface PushServerInit {
  readonly folder: DatabaseFolder;
  readonly dataDirectory: string;
  readonly maxBacklog: number | undefined;
  onStored(name: string): void;
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
  #running = 0;

  private constructor(init: PushServerInit, directory: string) {
    this.#init = init;
    // Open at both ends: neither side waits for the other to open, and a script that ends is no end.
    const both = constants.O_RDWR | constants.O_NONBLOCK;
    const requests = openSync(join(directory, "request"), both);
    this.#answers = openSync(join(directory, "answer"), both);
    this.#requests = new Socket({ fd: requests, readable: true, writable: false });
  }

  /** @throws LifeboatError `DATA_DIRECTORY_CLOSED` when we may not write into `pg_wal` */
  static async open(init: PushServerInit): Promise<PushServer> {
    const directory = join(init.dataDirectory, PUSH_DIRECTORY);
    try {
      await makeDirectory(directory, init.dataDirectory);
    } catch (cause) {
      throw closed(init.dataDirectory, cause);
    }
    const server = new PushServer({ ...init, folder: guardedFolder(init.folder) }, directory);
    createInterface({ input: server.#requests }).on("line", (line) => void server.#handle(line));
    return server;
  }

  /** Finishes what is under way. The archiver goes on with the program itself. */
  async close(): Promise<void> {
    await rm(join(this.#init.dataDirectory, PUSH_DIRECTORY), { recursive: true, force: true });
    this.#requests.destroy();
    await Promise.allSettled(this.#pushes.values());
    closeSync(this.#answers);
  }

  async #handle(name: string): Promise<void> {
    const answer = await this.#serve(name).then(
      () => "stored",
      (cause: unknown) => {
        this.#init.onFailure(`${name}: ${reasonOf(cause)}`);
        return "failed";
      },
    );
    if (!this.#requests.destroyed) writeSync(this.#answers, `${name} ${answer}\n`);
  }

  async #serve(name: string): Promise<void> {
    // It comes from a pipe in a directory that the server's account owns: a name, and nothing else.
    if (!parseWalFileName(name)) throw new Error("is no name of a WAL file");
    const pushing = this.#pushes.get(name) ?? this.#push(name);
    void this.#pushAhead(name);
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
    // One that failed is tried again when the archiver asks for it, and is reported then.
    pushing.catch(() => this.#pushes.delete(name));
    return pushing;
  }

  async #pushAhead(after: string): Promise<void> {
    const status = join(this.#init.dataDirectory, "pg_wal", "archive_status");
    const names = await readdir(status).catch((): string[] => []);
    const ready = names
      .filter((name) => name.endsWith(".ready"))
      .map((name) => name.slice(0, -".ready".length))
      .filter((name) => name > after && parseWalFileName(name) !== undefined)
      .sort();
    for (const name of ready) {
      if (this.#running >= AT_ONCE || this.#pushes.size >= MOST_AHEAD) return;
      if (!this.#pushes.has(name)) void this.#push(name).catch(() => {});
    }
  }
}

/** It belongs to the account of the server, whose archiver must get in, and is closed to all others. */
async function makeDirectory(directory: string, dataDirectory: string): Promise<void> {
  const { uid, gid } = await stat(dataDirectory);
  const pipes = ["request", "answer"].map((name) => join(directory, name));
  // What a killed one left: pipes that nobody reads.
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
  await execa("mkfifo", ["-m", "600", ...pipes]);
  await writeFile(join(directory, "push"), SCRIPT, { mode: 0o600 });
  await writeFile(join(directory, "pid"), `${process.pid}\n`, { mode: 0o600 });
  if (process.getuid?.() === 0)
    for (const path of [directory, ...pipes, join(directory, "push"), join(directory, "pid")])
      await chown(path, uid, gid);
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
