import type { DemoFolder } from "./folder.ts";

/** What every scene has at hand. */
export interface Show {
  readonly folder: DemoFolder;
  /** Aborted by Ctrl-C: everything then ends at once and in order. */
  readonly signal: AbortSignal;
  /** Runs `cleanup` when the show is over, however it ends; the last one registered first. */
  atEnd(cleanup: () => Promise<void>): void;
}
