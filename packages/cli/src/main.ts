import { realpathSync } from "node:fs";
import { parseCommandLine } from "./command-line.ts";
import type { TextRequest, VerbRequest } from "./command-line-request.ts";
import type { ConfigurationSource } from "./config/load.ts";
import { exitStatus } from "./exit-status.ts";
import { failureDocument, failureText, stopDocument } from "./failure.ts";
import type { GlobalOptions } from "./global-options.ts";
import { withGrace } from "./grace.ts";
import { printable, printableJson } from "./printable.ts";
import { stopSwitch } from "./stop-signal.ts";
import type { Outcome, Verb } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export interface CommandInit {
  /** The command's name, for its help and messages. */
  readonly program: string;
  /** What stands in place of a configuration file that is not named. */
  readonly configuration?: ConfigurationSource;
}

/** Runs the command `lifeboat`. */
export function run(argv: readonly string[]): Promise<number> {
  return main(argv, { program: "lifeboat" });
}

/**
 * Runs a command line: parses it, runs the verb, prints what came of it.
 * @param argv as `process.argv` holds it
 * @returns the exit status, by the contract's table; never throws
 */
export async function main(argv: readonly string[], init: CommandInit): Promise<number> {
  const words = argv.slice(2);
  const stop = stopSwitch();
  const verbose = words.includes("--verbose");
  let verb: Verb | undefined;
  let finished = false;
  let told: Outcome["stopped"];
  try {
    const request = await parseCommandLine(words, init.program, VERBS);
    if (request.kind === "text")
      return print(words.includes("--json") ? json(request) : request.text);
    verb = request.verb;
    const ownCommand = [process.execPath, realpathSync(argv[1] ?? "")];
    const outcome = await perform(request, { ...init, ownCommand, signal: stop.signal });
    finished = true;
    told = outcome.stopped;
    // Whoever sent the signal asked for a stop, and is told that it came too late.
    if (stop.stoppedBy()) throw stop.signal.reason;
    await show(outcome, request.global);
    return outcome.status ?? 0;
  } catch (thrown) {
    const signal = stop.stoppedBy();
    const failure = signal
      ? stopDocument(signal, finished, thrown, told)
      : failureDocument(thrown, verbose);
    if (words.includes("--json")) print(`${printableJson(failure)}\n`);
    else process.stderr.write(printable(failureText(failure, thrown, init.program, verbose)));
    return exitStatus(thrown, verb?.name ?? verbNamedBy(words), signal);
  } finally {
    stop.release();
  }
}

async function perform(
  request: VerbRequest,
  init: CommandInit & { readonly ownCommand: readonly string[]; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { verb, input, global } = request;
  const [{ Session }, { progressRunner }, { collectingLess }] = await Promise.all([
    import("./session.ts"),
    import("./progress-runner.ts"),
    import("./collect-less.ts"),
  ]);
  const session = new Session({
    program: init.program,
    ownCommand: init.ownCommand,
    global,
    builtIn: init.configuration,
    signal: init.signal,
    run: collectingLess(verb.name, progressRunner(global)),
  });
  const running = verb.run(input, session);
  return verb.onlyAsks ? withGrace(running, init.signal) : running;
}

async function show(outcome: Outcome, { json }: GlobalOptions): Promise<void> {
  if (outcome.document === null) return;
  if (json) print(`${printableJson(outcome.document)}\n`);
  else print(printable(await outcome.show()));
}

/** A script that asks for JSON reads nothing else, not even help. */
function json({ text }: TextRequest): string {
  return `${JSON.stringify({ text }, null, 2)}\n`;
}

function print(text: string): 0 {
  process.stdout.write(text);
  return 0;
}

/** Of a command line that could not be parsed: its exit status counts for PostgreSQL all the same. */
function verbNamedBy(words: readonly string[]): string | undefined {
  const at = words.indexOf("wal");
  return at === -1 ? undefined : `wal ${words[at + 1]}`;
}
