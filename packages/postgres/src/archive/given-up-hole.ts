import { type OutageLog, reasonOf, type WatchRequest } from "@lifeboat/core";
import { assertThere } from "../wal/guarded-folder.ts";
import { forgetGivenUp, readGivenUp } from "./given-up-wal.ts";
import { subjectOf } from "./outage-subject.ts";

/** The hole that given-up WAL leaves in the archive, which a watch closes by a base behind it. */
export class GivenUpHole {
  readonly #dataDirectory: string;
  readonly #request: WatchRequest;
  readonly #outage: OutageLog;
  /** The first file of the hole that the log was told of. */
  #told: string | undefined;

  constructor(dataDirectory: string, request: WatchRequest, outage: OutageLog) {
    this.#dataDirectory = dataDirectory;
    this.#request = request;
    this.#outage = outage;
  }

  /**
   * Takes a new base if there is one, once the repository takes objects again.
   * @returns whether there was one
   */
  async close(): Promise<boolean> {
    const given = await readGivenUp(this.#dataDirectory);
    if (!given) return false;
    const { folder, signal, backup, log } = this.#request;
    if (given.first !== this.#told)
      log(
        `${subjectOf(folder)}: ${given.first} was given up, since more waited than archive.maxBacklog: no recovery gets past it until there is a new base`,
      );
    this.#told = given.first;
    try {
      await assertThere(folder);
      await backup("full");
      // What was given up meanwhile lies behind the new base, or in it, and wants another.
      const after = await readGivenUp(this.#dataDirectory);
      if (after?.last !== given.last) return true;
      await forgetGivenUp(this.#dataDirectory);
      this.#outage.working(`${given.first} to ${given.last}, with a new base behind it`);
    } catch (cause) {
      if (signal.aborted) return true;
      const reason = `the new base failed: ${reasonOf(cause)}`;
      this.#outage.failing({ reason, meanwhile: "it is tried again each second" });
    }
    return true;
  }
}
