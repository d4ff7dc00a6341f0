import type { Session } from "./session.ts";
import type { VerbArgument, VerbOption } from "./verb-option.ts";

export interface VerbInput {
  readonly arguments: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** What is said of a run that a signal ended. */
export interface Stopped {
  readonly message: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a verb did: a document for scripts, and the same in words. */
export interface Outcome {
  /** 1 when a check found something wrong; 0 when left out. */
  readonly status?: 0 | 1;
  /** Printed with --json; null prints nothing, of what runs until it is stopped or was started by ourselves. */
  readonly document: unknown;
  /** Of a run that is meant to be stopped by a signal: what it had done by then. */
  readonly stopped?: Stopped;
  /** Printed without --json; may be empty. */
  show(): string | Promise<string>;
}

/** A verb of the command: one file each in `verb/`. Whatever is heavy is imported inside `run`. */
export interface Verb {
  /** `backup`, or of two words: `wal push`. */
  readonly name: string;
  /** One line for the list of verbs, lower case. */
  readonly summary: string;
  readonly arguments?: readonly VerbArgument[];
  readonly options: readonly VerbOption[];
  /** It changes nothing: after a stop signal it is not waited for long, whoever it is that does not answer it. */
  readonly onlyAsks?: true;
  /** Options after the command's name, each with what it is for. */
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  run(input: VerbInput, session: Session): Promise<Outcome>;
}
