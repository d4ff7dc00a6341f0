import { open } from "node:fs/promises";

/** The ledger that a writer keeps of what was acknowledged, read on from where it was read to before. */
export class GrowingLedger {
  readonly path: string;
  readonly #lines: [seq: number, at: number][] = [];
  #read = 0;
  #rest = "";

  constructor(path: string) {
    this.path = path;
  }

  /** All so far, in order: each commit's number, and when it was acknowledged. */
  async all(): Promise<readonly [seq: number, at: number][]> {
    const file = await open(this.path);
    try {
      const { size } = await file.stat();
      const { buffer } = await file.read(Buffer.alloc(size - this.#read), { position: this.#read });
      this.#read = size;
      const lines = (this.#rest + buffer.toString("utf8")).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) {
        const [seq = 0, at = 0] = line.split(" ").map(Number);
        this.#lines.push([seq, at]);
      }
      return this.#lines;
    } finally {
      await file.close();
    }
  }
}
