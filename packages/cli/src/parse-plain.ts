import type { VerbRequest } from "./command-line.ts";
import { GLOBAL_OPTIONS, type GlobalOptions } from "./global-options.ts";
import { type OptionFlag, optionFlag } from "./option-flag.ts";
import type { Verb, VerbOption } from "./verb.ts";

interface Reading {
  readonly options: Record<string, unknown>;
  readonly arguments: string[];
}

/**
 * Reads a command line that is plain: a verb, long options that are known, each with its value where it
 * takes one, all that is required, nothing else. Commander reads it the same way, by test.
 * @returns undefined for any other: it is left to commander
 */
export function parsePlain(
  words: readonly string[],
  verbs: readonly Verb[],
): VerbRequest | undefined {
  const globals: Reading = { options: {}, arguments: [] };
  const rest = readOptions(words, GLOBAL_OPTIONS, globals, "leave");
  const verb = rest && verbOf(rest, verbs);
  if (!verb) return undefined;
  const own: Reading = { options: {}, arguments: [] };
  const wordsOfVerb = rest.slice(verb.name.split(" ").length);
  if (!readOptions(wordsOfVerb, verb.options, own, "refuse")) return undefined;
  if (!isComplete(verb, own)) return undefined;
  const global = { ...defaults(GLOBAL_OPTIONS), ...globals.options } as unknown as GlobalOptions;
  return { kind: "verb", verb, input: own, global };
}

/** Takes the known options out of the words; gives back the others, or undefined when it is not plain. */
function readOptions(
  words: readonly string[],
  known: readonly VerbOption[],
  into: Reading,
  unknown: "leave" | "refuse",
): string[] | undefined {
  const left: string[] = [];
  const queue = [...words];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    const option = known.find(({ flags }) => optionFlag(flags).long === word);
    if (option) {
      if (!take(option, optionFlag(option.flags), queue, into.options)) return undefined;
    } else if (word.startsWith("-") && unknown === "refuse") return undefined;
    else if (unknown === "refuse") into.arguments.push(word);
    else left.push(word);
  }
  return left;
}

function take(
  { values, parse, repeatable }: VerbOption,
  { name, takesValue, negated }: OptionFlag,
  queue: string[],
  options: Record<string, unknown>,
): boolean {
  if (!takesValue) {
    options[name] = !negated;
    return true;
  }
  const text = queue.shift();
  if (text === undefined || text.startsWith("-")) return false;
  if (values && !values.includes(text)) return false;
  if (options[name] !== undefined && !repeatable) return false;
  const value = parse ? parse(text) : text;
  options[name] = repeatable ? [...((options[name] as unknown[]) ?? []), value] : value;
  return true;
}

function verbOf(words: readonly string[], verbs: readonly Verb[]): Verb | undefined {
  return verbs.find(({ name }) => name.split(" ").every((part, at) => words[at] === part));
}

function isComplete(verb: Verb, { options, arguments: given }: Reading): boolean {
  const required = verb.options.filter((option) => option.required);
  return (
    given.length === (verb.arguments ?? []).length &&
    required.every(({ flags }) => options[optionFlag(flags).name] !== undefined)
  );
}

function defaults(known: readonly VerbOption[]): Record<string, unknown> {
  const negated = known.map(({ flags }) => optionFlag(flags)).filter((flag) => flag.negated);
  return Object.fromEntries(negated.map(({ name }) => [name, true]));
}
