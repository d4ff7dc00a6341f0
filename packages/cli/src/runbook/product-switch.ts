import type { Configuration, Hook } from "../configuration.ts";
import { duration } from "../show/units.ts";
import { code, type Inline, words } from "./document.ts";

/**
 * The product's own switch as it may be printed: of a command its program alone and of a URL its host alone, since
 * arguments and paths of hooks often carry a token.
 */
export function productSwitch({ budgetSeconds, onCutover }: Configuration["migrate"]): {
  readonly budget: string;
  readonly hook: readonly Inline[];
} {
  return {
    budget:
      budgetSeconds === undefined
        ? "the usual (migrate.budget is not set)"
        : duration(budgetSeconds),
    hook: hookOf(onCutover),
  };
}

function hookOf(hook: Hook | undefined): readonly Inline[] {
  if (typeof hook === "string")
    return /^https?:/.test(hook) ? urlOf(hook) : commandOf(hook.trim().split(/\s+/)[0]);
  if (hook === undefined)
    return words(
      "none is configured (`migrate.onCutover`): whoever decides switches it by hand at the step `switch`",
    );
  return "url" in hook ? urlOf(hook.url) : commandOf(hook[0]);
}

/** What stands first may be a variable with its value. */
function commandOf(program: unknown): readonly Inline[] {
  if (typeof program !== "string" || !/^[\w./-]+$/.test(program))
    return ["the command of migrate.onCutover"];
  return ["the command ", code(program), ", with its arguments from migrate.onCutover"];
}

function urlOf(url: string): readonly Inline[] {
  const host = URL.canParse(url) ? new URL(url).host : "of the configuration";
  return ["an HTTP request to ", code(host), ", as in migrate.onCutover"];
}
