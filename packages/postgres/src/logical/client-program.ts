import { basename } from "node:path";
import { createInterface } from "node:readline";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import type { ProgramEnvironment } from "../basebackup/libpq-environment.ts";
import type { Watchdog } from "../server/watchdog.ts";

/** How long a program may take to cancel its statements and to end when told to. */
const GRACE_MS = 10_000;

export interface ClientProgram {
  readonly program: string;
  readonly args: readonly string[];
  /** The connection: nothing of it stands in an argument list that every user of the host can read. */
  readonly env: ProgramEnvironment;
  /** Ends the program if we are killed. */
  readonly watchdog: Watchdog;
  readonly signal: AbortSignal;
  /** Told what the program says it does now. */
  readonly note: (text: string) => void;
}

/** A client program of the server's that failed, in its own words. */
export class ProgramFailure extends Error {
  readonly program: string;
  /** The entry of a dump's list that it was at, in pg_restore's words: `3079 16385 EXTENSION cube`. */
  readonly entry: string | undefined;

  constructor(program: string, reason: string, entry?: string) {
    super(reason);
    this.program = program;
    this.entry = entry;
  }
}

/**
 * Runs pg_dump, pg_dumpall or pg_restore to its end.
 * @returns its warnings, each a line
 * @throws {@link ProgramFailure} with the first error that it names; the signal's reason when aborted
 */
export async function runClientProgram(work: ClientProgram): Promise<string[]> {
  const { program, args, env, watchdog, signal } = work;
  signal.throwIfAborted();
  const name = basename(program);
  const child = execa(program, [...args], {
    env: { ...env },
    buffer: false,
    stdin: "ignore",
    stdout: "ignore",
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: GRACE_MS,
  });
  if (child.pid !== undefined) watchdog.guard(child.pid);
  const said = {
    errors: [] as string[],
    warnings: [] as string[],
    last: "",
    entry: undefined,
  } as Said;
  for await (const line of createInterface({ input: child.stderr })) {
    const text = line.startsWith(`${name}: `) ? line.slice(name.length + 2) : undefined;
    // Further lines of a message may repeat a row (`DETAIL:  Key (id)=(1) …`): they are left out.
    if (text === undefined) continue;
    if (text.startsWith("error: ")) said.errors.push(text.slice("error: ".length));
    else if (text.startsWith("warning: ")) said.warnings.push(text.slice("warning: ".length));
    else if (!/^(detail|hint): /.test(text)) work.note(text);
    if (said.errors.length === 0) said.entry = ENTRY.exec(text)?.[1] ?? said.entry;
    said.last = text;
  }
  const ended = await child;
  watchdog.release();
  signal.throwIfAborted();
  if (!ended.failed) return said.warnings;
  const reason = said.errors[0] ?? (said.last || ended.shortMessage || "it ended without a word");
  throw new ProgramFailure(name, reason.replaceAll(/\s+/g, " "), said.entry);
}

/** Said before what went wrong with it. */
const ENTRY = /^from TOC entry \d+; (.*)$/;

interface Said {
  readonly errors: string[];
  readonly warnings: string[];
  last: string;
  entry: string | undefined;
}

/** What to do about a failure of one of these programs. */
export interface FailureReading {
  readonly matches: RegExp;
  readonly remedy: (role: string) => string;
}

/** A failure of a program as Lifeboat says it; what is no such failure comes back as it is. */
export function programFailure(
  cause: unknown,
  how: {
    readonly code: string;
    readonly role: string;
    /** What the run left where it wrote, for the message. */
    readonly left: string;
    /** What there is to do besides. */
    readonly next: string;
    /** What to do where no reading fits, from what the server was asked: its words are in its own language. */
    readonly asked?: string | undefined;
  },
  readings: readonly FailureReading[],
): unknown {
  if (!(cause instanceof ProgramFailure)) return cause;
  const reading = readings.find(({ matches }) => matches.test(cause.message));
  const remedy = `${reading?.remedy(how.role) ?? how.asked ?? "mend what it names"}; ${how.next}`;
  return new LifeboatError({
    code: how.code,
    message: `${cause.program} failed: ${cause.message}; ${how.left}`,
    remedy,
    details: { program: cause.program },
    cause,
  });
}
