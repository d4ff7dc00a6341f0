import { closeSync, constants, existsSync, openSync, writeSync } from "node:fs";
import { type FileHandle, lchown, open, rename, rm, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { basename, join } from "node:path";
import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import { onRequestLine } from "../archive/request-lines.ts";
import type { Account } from "../files/account.ts";
import { restoreCommand } from "../restore/recovery-configuration.ts";
import { archivedFile } from "../wal/archived-file.ts";
import type { Lsn } from "../wal/lsn.ts";
import { parseWalFileName, segmentName, segmentNumber, segmentStart } from "../wal/segment-name.ts";

/**
 * What the server runs as `restore_command`: it asks us through one named pipe and waits at another.
 * Only "absent", which we say of an object that is proved not to be there, ends with 1; all else,
 * our death included, ends with 126, and the server stops instead of taking it for the end.
 */
const SCRIPT = `here=\${0%/*}
echo "$1 $2" > "$here/request" || exit 126
while read -r name answer; do
  test "$name" = "$1" || continue
  case $answer in
    present) exit 0 ;;
    absent) exit 1 ;;
    *) exit 126 ;;
  esac
done < "$here/answer"
exit 126
`;

/** The only two names under which a recovering server wants a file. */
const PLACES = /^pg_wal\/RECOVERY(XLOG|HISTORY)$/;

export interface SegmentServerInit {
  readonly folder: DatabaseFolder;
  /** The recovering server's. */
  readonly dataDirectory: string;
  readonly walSegmentBytes: number;
  readonly account: Account;
  /** A folder that only the account can enter. */
  readonly scratch: string;
  /** Called with the name of each file handed over. */
  onServed?(name: string): void;
  /**
   * Sees all WAL before the server does, segment by segment in its order; what it throws stops the recovery. A new one for each run of
   * segments that follow each other.
   */
  watch?(start: Lsn): WalWatch;
}

export interface WalWatch {
  push(chunk: Uint8Array): Promise<void>;
  /** Another that goes on from here: a segment may be fetched in vain, or on another timeline, and what follows the one before is looked at again. */
  fork(): WalWatch;
}

/** What has seen all WAL up to a segment, and which one it is. */
interface Watched {
  readonly next: bigint;
  readonly watch: WalWatch;
}

/** A file lies beside its place. */
interface Fetched {
  /** Of a segment, where one watches. */
  readonly watched: Watched | undefined;
}

/**
 * Hands WAL from the repository to a server of ours in recovery, from this process: a
 * `restore_command` of a few lines of shell needs neither Node's start for each segment nor the
 * server account's right to read the repository, and what goes wrong is known here in full. While
 * the server replays a segment, the next is fetched.
 */
export class SegmentServer {
  /** For the server's `restore_command`. */
  readonly command: string;
  /** Why a request could not be answered: the true reason when the server stops. */
  failure: unknown;
  readonly #init: SegmentServerInit;
  /** The folder itself: the account of the server may put a link in the place of its name, and we may be root. */
  readonly #wal: FileHandle;
  readonly #requests: Socket;
  readonly #answers: number;
  #ahead: { readonly name: string; readonly fetched: Promise<Fetched | undefined> } | undefined;
  /** Up to the segment that was handed over last. */
  #watched: Watched | undefined;
  /** One request after the other: a server asks for the next when it has its answer. */
  #handled: Promise<void> = Promise.resolve();
  /** What the watch does not let pass, whoever asks for it again. */
  #refused: { readonly name: string; readonly why: unknown } | undefined;

  private constructor(init: SegmentServerInit, wal: FileHandle, script: string) {
    this.#init = init;
    this.#wal = wal;
    this.command = restoreCommand(["/bin/sh", script]);
    // Open at both ends: neither side waits for the other to open, and a script that ends is no end.
    const both = constants.O_RDWR | constants.O_NONBLOCK;
    const requests = openSync(join(init.scratch, "request"), both);
    this.#answers = openSync(join(init.scratch, "answer"), both);
    this.#requests = new Socket({ fd: requests, readable: true, writable: false });
  }

  static async open(init: SegmentServerInit): Promise<SegmentServer> {
    const { scratch, account, dataDirectory } = init;
    const script = join(scratch, "fetch-segment");
    const pipes = ["request", "answer"].map((name) => join(scratch, name));
    await execa("mkfifo", ["-m", "600", ...pipes]);
    await writeFile(script, SCRIPT, { mode: 0o600, flag: "wx" });
    if (account.foreign)
      for (const path of [script, ...pipes]) await lchown(path, account.uid, account.gid);
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    const wal = await open(join(dataDirectory, "pg_wal"), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const server = new SegmentServer(init, wal, script);
    onRequestLine(server.#requests, (line) => {
      server.#handled = server.#handled.then(() => server.#handle(line));
    });
    return server;
  }

  /** The server in recovery has ended before. May be called twice. */
  async close(): Promise<void> {
    if (this.#requests.destroyed) return;
    this.#requests.destroy();
    // A server that was killed while it waited for a file leaves its request here, half answered.
    await this.#handled;
    closeSync(this.#answers);
    await this.#dropAhead();
    await this.#wal.close();
  }

  async #handle(line: string): Promise<void> {
    if (this.#requests.destroyed) return;
    const [name = "", place = ""] = line.split(" ");
    const answer = await this.#serve(name, place).catch((cause: unknown) => {
      this.failure ??= cause;
      return "failed";
    });
    if (this.#requests.destroyed) return;
    try {
      writeSync(this.#answers, `${name} ${answer}\n`);
    } catch (cause) {
      // Full of answers that nobody reads: whoever asks so is no script of ours.
      this.failure ??= cause;
    }
  }

  async #serve(name: string, place: string): Promise<"present" | "absent"> {
    if (!parseWalFileName(name) || !PLACES.test(place)) throw strangeRequest(name, place);
    const ahead = this.#ahead?.name === name ? await this.#ahead.fetched : undefined;
    this.#ahead = ahead ? undefined : await this.#dropAhead();
    const fetched = ahead ?? (await this.#fetch(name));
    if (!fetched) return "absent";
    await rename(this.#fetchedPath(name), this.#inWal(basename(place)));
    this.#watched = fetched.watched ?? this.#watched;
    this.#init.onServed?.(name);
    this.#fetchNext(name);
    return "present";
  }

  /** Brings one file beside its place, all digests checked; undefined when it is proved that there is none. */
  async #fetch(name: string): Promise<Fetched | undefined> {
    const { folder, account } = this.#init;
    if (this.#refused?.name === name) throw this.#refused.why;
    const content = await archivedFile(folder, name);
    if (!content) return undefined;
    const path = this.#fetchedPath(name);
    try {
      // What lies there by then is the account's: written over, it could be a link to anything.
      await rm(path, { force: true });
      const file = await open(path, "wx", 0o600);
      try {
        const watched = this.#watchedUpTo(name);
        for await (const chunk of content) {
          await watched?.watch.push(chunk).catch((why: unknown) => {
            this.#refused = { name, why };
            throw why;
          });
          await file.writeFile(chunk);
        }
        if (account.foreign) await file.chown(account.uid, account.gid);
        return { watched };
      } finally {
        await file.close();
      }
    } catch (cause) {
      await rm(path, { force: true });
      throw cause;
    }
  }

  #watchedUpTo(name: string): Watched | undefined {
    const file = parseWalFileName(name);
    const { walSegmentBytes: size } = this.#init;
    const number = file?.kind === "segment" ? segmentNumber(file, size) : undefined;
    if (number === undefined) return undefined;
    const { next, watch: before } = this.#watched ?? {};
    const watch = next === number ? before?.fork() : this.#init.watch?.(segmentStart(number, size));
    return watch && { next: number + 1n, watch };
  }

  #fetchNext(name: string): void {
    const file = parseWalFileName(name);
    if (file?.kind !== "segment") return;
    const { walSegmentBytes: size } = this.#init;
    const number = segmentNumber(file, size);
    if (number === undefined) return;
    const next = segmentName(file.timeline, number + 1n, size);
    // What fails here is tried again when the server asks for it, and is reported then.
    this.#ahead = { name: next, fetched: this.#fetch(next).catch(() => undefined) };
  }

  async #dropAhead(): Promise<undefined> {
    const ahead = this.#ahead;
    if (!ahead) return;
    await ahead.fetched;
    await rm(this.#fetchedPath(ahead.name), { force: true });
  }

  /** Beside its place, so that handing it over is a rename; the server knows no such name. */
  #fetchedPath(name: string): string {
    return this.#inWal(`lifeboat-${name}`);
  }

  #inWal(name: string): string {
    const directory = `/proc/self/fd/${this.#wal.fd}`;
    return existsSync(directory)
      ? join(directory, name)
      : join(this.#init.dataDirectory, "pg_wal", name);
  }
}

function strangeRequest(name: string, place: string): LifeboatError {
  return new LifeboatError({
    code: "SEGMENT_REQUEST_STRANGE",
    message: `the recovering server asked for ${JSON.stringify(name)} as ${JSON.stringify(place)}`,
    remedy:
      "this version of Postgres recovers in a way that is not known here: restore without --replay and start the copy by hand",
    details: { name, place },
  });
}
