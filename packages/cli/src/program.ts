import { LifeboatError, notAvailable } from "@lifeboat/core/errors";
import { VERSION } from "@lifeboat/core/version";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Request } from "./command-line-request.ts";
import { GLOBAL_OPTIONS, type GlobalOptions } from "./global-options.ts";
import { verbOf } from "./parse-plain.ts";
import { usage } from "./usage.ts";
import { NOT_BUILT, type NotBuiltVerb } from "./verb/not-built.ts";
import type { Verb, VerbInput } from "./verb.ts";
import type { VerbOption } from "./verb-option.ts";

/**
 * Reads a command line with commander: its help, and what it says about a fault.
 * @throws LifeboatError kind `usage`
 */
export function parseWithCommander(
  words: readonly string[],
  program: string,
  verbs: readonly Verb[],
): Request {
  let chosen: { verb: Verb; input: VerbInput } | undefined;
  let text = "";
  const command = commandTree(program, verbs, {
    choose: (verb, input) => {
      chosen = { verb, input };
    },
    print: (part) => {
      text += part;
    },
  });
  try {
    command.parse(words, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // `help` and `help VERB` end with the status that the process has so far; help that was not asked for goes elsewhere.
    if (thrown.exitCode === 0 || text !== "") return { kind: "text", text };
    throw usageOf(thrown, [program, verbOf(words, verbs)?.name ?? groupOf(words)]);
  }
  if (!chosen) throw usage("no verb was given", `see ${program} --help`);
  return { kind: "verb", ...chosen, global: command.opts<GlobalOptions>() };
}

export interface CommandTreeUse {
  choose(verb: Verb, input: VerbInput): void;
  print(text: string): void;
}

/** The whole command as commander holds it; the help and the README's tables come from it too. */
function commandTree(
  program: string,
  verbs: readonly Verb[],
  { choose, print }: CommandTreeUse,
): Command {
  const root = new Command(program)
    .description("Backups, restores, drills and migrations of SQLite and Postgres.")
    .version(VERSION, "--version", "the version")
    .helpOption("--help", "this help")
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {} })
    .configureHelp({ showGlobalOptions: true });
  for (const option of GLOBAL_OPTIONS) root.addOption(commanderOption(option));
  for (const verb of verbs) addVerb(root, verb, choose);
  for (const verb of NOT_BUILT) addNotBuilt(root, verb);
  return root;
}

function addVerb(root: Command, verb: Verb, choose: CommandTreeUse["choose"]) {
  const command = placeOf(root, verb.name).description(`${capital(verb.summary)}.`);
  for (const { name, help } of verb.arguments ?? []) command.argument(name, help);
  for (const option of verb.options) command.addOption(commanderOption(option));
  const examples = verb.examples.map(
    ([line, meaning]) => `  ${`${root.name()} ${line}`.trimEnd()}\n      ${meaning}`,
  );
  if (examples.length > 0) command.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
  command.action(() => choose(verb, { arguments: command.args, options: command.opts() }));
}

function addNotBuilt(root: Command, verb: NotBuiltVerb) {
  placeOf(root, verb.name)
    .description(`${capital(verb.summary)} (not available yet).`)
    .argument("[words...]")
    .allowUnknownOption()
    .action(() => {
      throw notAvailable(`${root.name()} ${verb.name}`);
    });
}

/** The command of a verb; `wal push` lies in a group `wal`. */
function placeOf(root: Command, name: string): Command {
  const [first = "", second] = name.split(" ");
  if (second === undefined) return root.command(first);
  const group =
    root.commands.find((command) => command.name() === first) ??
    root.command(first).description(GROUPS[first] ?? "");
  return group.command(second);
}

function groupOf(words: readonly string[]): string | undefined {
  return words.find((word) => word in GROUPS);
}

const GROUPS: Readonly<Record<string, string>> = {
  wal: "The write-ahead log of Postgres: for archive_command and restore_command.",
  migrate: "Moves a product from SQLite to Postgres.",
};

function commanderOption(option: VerbOption): Option {
  const made = new Option(option.flags, helpOf(option));
  if (option.required) made.makeOptionMandatory();
  if (option.values) made.choices([...option.values]);
  const parse = option.parse;
  if (parse || option.repeatable)
    made.argParser((text: string, before: unknown) => {
      const value = parse ? parsed(parse, text, made) : text;
      return option.repeatable ? [...((before as unknown[]) ?? []), value] : value;
    });
  return made;
}

/** The text of an option in the help and in the README. */
export function helpOf(option: VerbOption): string {
  if (option.notBuilt === true) return `${option.help} (not available yet)`;
  if (option.notBuilt) return `${option.help} (not available yet: ${option.notBuilt.join(", ")})`;
  return option.help;
}

function parsed(parse: (text: string) => unknown, text: string, option: Option): unknown {
  try {
    return parse(text);
  } catch (thrown) {
    if (thrown instanceof LifeboatError) throw thrown;
    throw new InvalidArgumentError(`${option.flags}: ${String(thrown)}`);
  }
}

function usageOf(
  thrown: CommanderError,
  [program, command]: readonly [program: string, command: string | undefined],
): LifeboatError {
  const message =
    thrown.code === "commander.help"
      ? "no verb was given"
      : thrown.message.replace(/^error: /, "").replaceAll("\n", " ");
  return usage(message, `see ${command ? `${program} ${command}` : program} --help`);
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
