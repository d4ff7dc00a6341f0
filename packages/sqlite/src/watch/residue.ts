/** What may be left behind the gate grows with each try that met more, up to so many times the limit. */
const MOST_RESIDUES = 8;

/** How many bytes may be left to be copied back behind the gate, where writers wait. */
export class Residue {
  readonly #limit: number;
  readonly #checkpointFreely: boolean;
  #bytes: number;

  /** @param checkpointFreely whether the bulk may be copied back before the gate is shut */
  constructor(limit: number, checkpointFreely: boolean) {
    this.#limit = limit;
    this.#bytes = limit;
    this.#checkpointFreely = checkpointFreely;
  }

  isExceededBy(bytes: number): boolean {
    return bytes > this.#bytes;
  }

  /**
   * A disk that is slow for its writers leaves more after each round. Where nothing may be copied back before the
   * gate, only the app's own checkpoints make it less, and there may be none.
   */
  allowMore(): void {
    this.#bytes = this.#checkpointFreely
      ? Math.min(this.#bytes + this.#limit, MOST_RESIDUES * this.#limit)
      : this.#bytes * 2;
  }

  /** It came to an end: the next one begins with the limit again. */
  reset(): void {
    this.#bytes = this.#limit;
  }
}
