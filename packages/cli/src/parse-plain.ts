import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import type { VerbRequest } from "./command-line-request.ts";
import { GLOBAL_OPTIONS, type GlobalOptions } from "./global-options.ts";
import { optionFlag } from "./option-flag.ts";
import type { Verb } from "./verb.ts";
import type { VerbOption } from "./verb-option.ts";

type Given = Readonly<Record<string, readonly (string | boolean)[] | undefined>>;

/**
 * Reads a command line that is plain and right with Node's own parser, which costs nothing to load.
 * Commander reads it the same way, by test.
 * @returns undefined for any other, which is left to commander: help, faults, and what to say of them
 */
export function parsePlain(
  words: readonly string[],
  verbs: readonly Verb[],
): VerbRequest | undefined {
  // What stands behind `--` is no option any more; commander knows the fine points.
  if (words.includes("--")) return undefined;
  const verb = verbOf(words, verbs);
  if (!verb) return undefined;
  const read = strictly(words, verb);
  const given = read?.positionals.slice(verb.name.split(" ").length);
  if (!read || given?.length !== (verb.arguments ?? []).length) return undefined;
  const global = valuesOf(GLOBAL_OPTIONS, read.values);
  const options = valuesOf(verb.options, read.values);
  if (!global || !options) return undefined;
  return {
    kind: "verb",
    verb,
    input: { arguments: given, options },
    global: global as unknown as GlobalOptions,
  };
}

/** The verb that a command line names, right or wrong as the rest of it may be. */
export function verbOf(words: readonly string[], verbs: readonly Verb[]): Verb | undefined {
  const all = [...GLOBAL_OPTIONS, ...verbs.flatMap(({ options }) => options)];
  const { positionals } = parseArgs({
    args: [...words],
    options: forNode(all),
    strict: false,
    allowPositionals: true,
  });
  return verbs.find(({ name }) => name.split(" ").every((part, at) => positionals[at] === part));
}

/** Undefined when an option is unknown, stands before its verb, or has no value where it needs one. */
function strictly(words: readonly string[], verb: Verb) {
  try {
    const { positionals, values, tokens } = parseArgs({
      args: [...words],
      options: forNode([...GLOBAL_OPTIONS, ...verb.options]),
      allowPositionals: true,
      tokens: true,
    });
    const verbWords = tokens.filter(({ kind }) => kind === "positional");
    const verbEnd = verbWords[verb.name.split(" ").length - 1]?.index ?? 0;
    const early = tokens.some(
      (token) => token.kind === "option" && token.index < verbEnd && !isGlobal(token.name),
    );
    return early ? undefined : { positionals, values: values as Given };
  } catch {
    // Commander reads it again, and says what is wrong.
    return undefined;
  }
}

function isGlobal(name: string): boolean {
  return GLOBAL_OPTIONS.some(({ flags }) => optionFlag(flags).long === `--${name}`);
}

function forNode(options: readonly VerbOption[]): ParseArgsOptionsConfig {
  return Object.fromEntries(
    options.map(({ flags }) => {
      const { long, takesValue } = optionFlag(flags);
      const type = takesValue ? ("string" as const) : ("boolean" as const);
      return [long.slice("--".length), { type, multiple: true }];
    }),
  );
}

/** Undefined when one is required and missing, given twice without being repeatable, or none of its values. */
function valuesOf(
  options: readonly VerbOption[],
  given: Given,
): Record<string, unknown> | undefined {
  const values: Record<string, unknown> = {};
  for (const { flags, parse, required, repeatable, values: allowed } of options) {
    const { long, name, negated } = optionFlag(flags);
    const texts = given[long.slice("--".length)] ?? [];
    if (negated) values[name] = texts.length === 0;
    if (negated || (texts.length === 0 && !required)) continue;
    if (texts.length === 0 || (texts.length > 1 && !repeatable)) return undefined;
    if (allowed && !texts.every((text) => allowed.includes(String(text)))) return undefined;
    const parsed = parse ? parsedOr(parse, texts) : texts;
    if (!parsed) return undefined;
    values[name] = repeatable ? parsed : parsed[0];
  }
  return values;
}

/** Of several faults commander names the first that it meets: it reads the line again. */
function parsedOr(
  parse: (text: string) => unknown,
  texts: readonly (string | boolean)[],
): unknown[] | undefined {
  try {
    return texts.map((text) => parse(String(text)));
  } catch {
    // Left to commander, as every fault is.
    return undefined;
  }
}
