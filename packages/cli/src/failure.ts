import { LifeboatError, reasonOf } from "@lifeboat/core/errors";
import type { StopSignal } from "./stop-signal.ts";
import type { Stopped } from "./verb.ts";

/** A failure as scripts read it. */
export interface FailureDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
    readonly details: Readonly<Record<string, unknown>>;
  };
}

/** Every failure has a code and a remedy; one that nobody foresaw is a defect and says so. */
export function failureDocument(thrown: unknown, verbose: boolean): FailureDocument {
  if (thrown instanceof LifeboatError) {
    const { code, message, remedy, details } = thrown;
    return { error: { code, message, remedy, details } };
  }
  if (isWithoutWorkingDirectory(thrown))
    return document(
      "WORKING_DIRECTORY_GONE",
      "the working directory was removed, and something is named from it",
      "change to a directory that is there, or name all by absolute paths",
    );
  const remedy = verbose
    ? "this is a defect of Lifeboat: report it with the stack"
    : "this is a defect of Lifeboat: run again with --verbose and report the stack";
  return document("INTERNAL", reasonOf(thrown), remedy);
}

/** Node's own error, wherever a relative path is first resolved. */
function isWithoutWorkingDirectory(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).syscall === "uv_cwd";
}

/** Ends of a stopped run that say themselves what stays. */
const TELLING = new Set([
  "REPLAY_STOPPED",
  "LOG_LEFT_BEHIND",
  "IMPORT_STOPPED",
  "STANDBY_STOPPED",
  "CUTOVER_HALF_DONE",
  "CUTOVER_UNFINISHED",
  "ROLLBACK_HALF_DONE",
  "ROLLBACK_UNFINISHED",
  "SWITCH_FAILED",
  "FINISH_STOPPED",
  "ABORT_STOPPED",
  "RECORD_NOT_WRITTEN",
]);

/** A run that a signal ended. */
export function stopDocument(
  stop: StopSignal,
  finished: boolean,
  thrown: unknown,
  told?: Stopped,
): FailureDocument {
  if (told)
    return { error: { code: "STOPPED", ...told, message: `stopped by ${stop}: ${told.message}` } };
  if (thrown instanceof LifeboatError && TELLING.has(thrown.code))
    return failureDocument(thrown, false);
  return finished
    ? document(
        "STOPPED",
        `${stop} came when the work was done already`,
        "nothing has to be repeated",
      )
    : document("STOPPED", `stopped by ${stop}`, "run it again; everything was cleaned up");
}

/** Errors of ours that are lists. */
const A_LINE_A_FAULT = new Set(["CONFIG_INVALID", "NOT_AVAILABLE"]);

/** What a server or a repository says draws no line of its own, such as another remedy. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/** A failure as people read it, with `verbose` down to its causes. */
export function failureText(
  document: FailureDocument,
  thrown: unknown,
  program: string,
  verbose: boolean,
): string {
  const { code, message, remedy } = document.error;
  const said = A_LINE_A_FAULT.has(code) ? message : oneLine(message);
  const lines = [`${program}: ${said} [${code}]`, `  what to do: ${oneLine(remedy)}`];
  if (verbose) lines.push(...stacks(thrown));
  return `${lines.join("\n")}\n`;
}

function stacks(thrown: unknown): string[] {
  if (!(thrown instanceof Error)) return [];
  const own = thrown.stack ?? thrown.message;
  return thrown.cause === undefined
    ? [own]
    : [own, `caused by: ${stacks(thrown.cause).join("\n") || String(thrown.cause)}`];
}

function document(code: string, message: string, remedy: string): FailureDocument {
  return { error: { code, message, remedy, details: {} } };
}
