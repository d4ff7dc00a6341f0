import type { RunbookDocument } from "./document.ts";

/** A step of the operation as scripts read it. */
export interface RunbookStep {
  readonly id: string;
  readonly title: string;
  readonly purpose: string;
  readonly expected: string;
  readonly onFailure: string;
  /** Of a cutover: what the product's writers see meanwhile. */
  readonly phase?: string;
  /** How long it took when it was measured last; null where it never was. */
  readonly seconds: number | null;
}

export interface Runbook {
  readonly document: RunbookDocument;
  readonly steps: readonly RunbookStep[];
}

export const RUNBOOKS = ["cutover", "restore", "drill"] as const;
export type RunbookName = (typeof RUNBOOKS)[number];
