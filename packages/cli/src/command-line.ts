import { notAvailable } from "@lifeboat/core/errors";
import { VERSION } from "@lifeboat/core/version";
import type { Request, VerbRequest } from "./command-line-request.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { optionFlag } from "./option-flag.ts";
import { parsePlain } from "./parse-plain.ts";
import { usage } from "./usage.ts";
import type { Verb } from "./verb.ts";

/**
 * Reads a command line. What is written plainly and right is read without commander, which takes as
 * long to load as all the rest of `wal push`; everything else is commander's: help, faults, and what to
 * say about them.
 * @param words without Node and the script
 * @throws LifeboatError kind `usage`: `USAGE`, or `NOT_AVAILABLE` for what the contract names and this
 *   version does not do
 */
export async function parseCommandLine(
  words: readonly string[],
  program: string,
  verbs: readonly Verb[],
): Promise<Request> {
  if (words.length === 1 && words[0] === "--version") return { kind: "text", text: `${VERSION}\n` };
  const request =
    parsePlain(words, verbs) ??
    (await import("./program.ts")).parseWithCommander(words, program, verbs);
  if (request.kind === "text") return request;
  refuseNotBuilt(request);
  refuseEmpty(request);
  return request;
}

function refuseNotBuilt({ verb, input }: VerbRequest) {
  for (const { flags, notBuilt } of verb.options) {
    const { long, name } = optionFlag(flags);
    const value = input.options[name];
    if (value === undefined) continue;
    if (notBuilt === true) throw notAvailable(`${verb.name} ${long}`);
    if (notBuilt?.includes(String(value)))
      throw notAvailable(`${verb.name} ${long} ${String(value)}`);
  }
}

/** `--to "$DIRECTORY"` of a script that never set it would mean the working directory, and `--force` puts a copy over what lies there. */
function refuseEmpty({ verb, input, global }: VerbRequest) {
  const given: Readonly<Record<string, unknown>> = { ...global, ...input.options };
  const empty = [
    ...[...GLOBAL_OPTIONS, ...verb.options]
      .filter(({ flags, mayBeEmpty }) => !mayBeEmpty && given[optionFlag(flags).name] === "")
      .map(({ flags }) => flags),
    ...(verb.arguments ?? []).filter((_, at) => input.arguments[at] === "").map(({ name }) => name),
  ];
  if (empty.length > 0)
    throw usage(
      `${empty.join(" and ")} is empty`,
      "give it a value, or leave it out; a variable that a script did not set is empty too",
    );
}
