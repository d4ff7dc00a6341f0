import type { EngineKind } from "@lifeboat/core";
import type { VerbOption } from "./verb-option.ts";

/** What every verb understands, before the verb or after it. */
export interface GlobalOptions {
  readonly config?: string;
  readonly engine?: EngineKind;
  readonly repository?: string;
  readonly app?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
}

export const GLOBAL_OPTIONS: readonly VerbOption[] = [
  {
    flags: "--config <file>",
    help: "configuration file; else the nearest lifeboat.config.ts, .js or .json upward from here",
  },
  {
    flags: "--engine <kind>",
    help: "which database, where the configuration has both; else the live one",
    values: ["sqlite", "postgres"],
  },
  {
    flags: "--repository <path>",
    help: "repository, in place of a configuration (with --app): no live database is needed",
  },
  { flags: "--app <name>", help: "the app's name in that repository" },
  { flags: "--json", help: "one JSON document on stdout, and nothing else there" },
  { flags: "--quiet", help: "no progress" },
  { flags: "--verbose", help: "more on stderr: causes and stacks of errors" },
  { flags: "--no-color", help: "no colors; NO_COLOR in the environment does the same" },
];
