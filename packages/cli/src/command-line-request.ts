import type { GlobalOptions } from "./global-options.ts";
import type { Verb, VerbInput } from "./verb.ts";

/** A verb with what was given to it. */
export interface VerbRequest {
  readonly kind: "verb";
  readonly verb: Verb;
  readonly input: VerbInput;
  readonly global: GlobalOptions;
}

/** A text to print: help, or the version. */
export interface TextRequest {
  readonly kind: "text";
  readonly text: string;
}

/** What a command line asks for. */
export type Request = VerbRequest | TextRequest;
