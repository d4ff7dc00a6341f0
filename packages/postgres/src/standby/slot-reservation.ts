import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isSystemError, ownProcessMark, processOfMarkLives } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { readSmallFile } from "../files/small-file.ts";

/**
 * Which slot a run reserves for the standby that it makes, noted beside the place while it does. By it the next run to the same place
 * tells the slot of one that was killed from another standby's that is down.
 */
export class SlotReservation {
  readonly #path: string;
  readonly #systemIdentifier: string;
  readonly #account: Account;

  /** @param to the data directory that is made */
  constructor(to: string, systemIdentifier: string, account: Account) {
    this.#path = join(dirname(to), `.${basename(to)}.lifeboat-slot`);
    this.#systemIdentifier = systemIdentifier;
    this.#account = account;
  }

  /** Whether a run to this place was about to reserve this slot, and was killed before it ended. */
  async names(slot: string): Promise<boolean> {
    try {
      const [system, name, mark] = (await readSmallFile(this.#path)).toString().trim().split(" ");
      if (system !== this.#systemIdentifier || name !== slot) return false;
      return mark === undefined || !processOfMarkLives(mark);
    } catch (thrown) {
      if (isSystemError(thrown, "ENOENT")) return false;
      throw thrown;
    }
  }

  async note(slot: string): Promise<void> {
    const content = this.#text(slot);
    await writeDurably(this.#path, content, { account: this.#account, mode: 0o600 });
    await syncDirectories([dirname(this.#path)]);
  }

  /** The standby is made, or the slot dropped. */
  async end(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  #text(slot: string): string {
    return `${this.#systemIdentifier} ${slot} ${ownProcessMark()}\n`;
  }
}
