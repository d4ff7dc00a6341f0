/** Work that goes on beside the polls, one at a time. */
export class Beside {
  #running: Promise<void> | undefined;
  #failure: unknown;

  get busy(): boolean {
    return this.#running !== undefined;
  }

  begin(work: Promise<void>): void {
    this.#running = work
      .catch((thrown) => {
        this.#failure = thrown;
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async done(): Promise<void> {
    await this.#running;
    this.throwIfFailed();
  }
}
