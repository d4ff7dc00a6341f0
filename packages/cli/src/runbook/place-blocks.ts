import type { Block } from "./document.ts";

/** What differs by engine in the runbook of a restore. */
export interface PlaceBlocks {
  readonly forward: readonly Block[];
  readonly abort: string;
  readonly back: readonly Block[];
}
