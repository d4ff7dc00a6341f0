import { RawReader } from "./raw-reader.ts";

/**
 * A process that reads raw bytes, begun before anybody needs it: its start takes as long as that of this process, and beside
 * the opening of a repository it takes no time of its own. Where nobody comes for it, it ends with this process.
 */
export class SpareReader {
  #spare: RawReader | undefined;

  /** May be called in vain, and twice. */
  begin(): void {
    if (this.#spare) return;
    this.#spare = new RawReader();
    this.#spare.unref();
  }

  /** The one that was begun, if there is one, and it lives; else a new one. */
  take(): RawReader {
    const spare = this.#spare;
    this.#spare = undefined;
    if (!spare?.lives) return new RawReader();
    spare.ref();
    return spare;
  }
}
