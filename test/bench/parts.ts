/** Which parts of a bench are wanted: all, unless some are named. */
export class Parts {
  readonly #wanted: ReadonlySet<string> | undefined;
  readonly #there = new Set<string>();

  /** @param only names parted by commas */
  constructor(only?: string) {
    this.#wanted = only === undefined ? undefined : new Set(only.split(","));
  }

  /** Asked by the bench before each of its parts. */
  wants(name: string): boolean {
    this.#there.add(name);
    return this.#wanted?.has(name) ?? true;
  }

  /** @throws Error when a name was none of the bench's parts: what was wanted has not been measured */
  assertAllKnown(): void {
    const unknown = [...(this.#wanted ?? [])].filter((name) => !this.#there.has(name));
    if (unknown.length > 0)
      throw new Error(
        `there is no part ${unknown.join(", ")}; there are ${[...this.#there].join(", ")}`,
      );
  }
}
