import type { GlobalOptions } from "./global-options.ts";
import type { Verb, VerbInput } from "./verb.ts";

/** A verb with what was given to it. */
export interface VerbRequest {
  readonly kind: "verb";
  readonly verb: Verb;
  readonly input: VerbInput;
  readonly global: GlobalOptions;
}

/** What a command line asks for: a verb, or a text to print (help, version). */
export type Request = VerbRequest | { readonly kind: "text"; readonly text: string };
