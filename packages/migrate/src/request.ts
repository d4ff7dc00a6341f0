import type { StepRunner } from "@lifeboat/core";
import type { DeclaredSchemas } from "./declared.ts";
import type { Choices } from "./finding.ts";

/** What every phase of a migration is given. */
export interface MigrationRequest {
  readonly sqlite: { readonly path: string };
  /** The product's own schema sources, where it has any. */
  readonly declared?: DeclaredSchemas;
  /** Answers to findings: `migrate.columns` of the configuration. */
  readonly choices?: Choices;
  /** The schema that the tables go to; `public` when left out. */
  readonly schema?: string;
  /** The product's own role in Postgres, or one that its roles belong to: it is looked at whether it may use what is loaded. */
  readonly appRole?: string;
  /** Runs the steps one after the other; the command line hands in one that shows them. */
  readonly run?: StepRunner;
  readonly signal: AbortSignal;
}

/** A connection to the target: a URL that may hold a password, so it is never logged or stored. */
export interface TargetAddress {
  readonly url: string;
}
