import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ownProcessMark, processOfMarkIsGone } from "@lifeboat/core";

/**
 * Names for files that grow. Each carries the mark of its process, so that the next one to write
 * removes what a killed process left, and nothing of a living one.
 */
export class TemporaryNames {
  readonly #folder: string;
  #swept: Promise<void> | undefined;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async next(): Promise<string> {
    this.#swept ??= this.#sweep();
    await this.#swept;
    this.#count += 1;
    return join(
      this.#folder,
      `${ownProcessMark()}.${this.#count}.${randomBytes(4).toString("hex")}`,
    );
  }

  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const mark = name.split(".")[0] ?? "";
      if (processOfMarkIsGone(mark)) await rm(join(this.#folder, name), { force: true });
    }
  }
}
