import type { Finding, Leftover, Reused } from "@lifeboat/core";
import type { StoredPart } from "../basebackup/transport.ts";
import type { ServerFacts, ServerTablespace } from "../facts/server-facts.ts";
import { type OfferedPart, offeredPart, type PartFacts } from "./stored-parts.ts";

/** A part that is one of this backup's archives now. */
interface KeptPart {
  readonly object: string;
  readonly tablespace: ServerTablespace | null;
  /** As they stand in the backup's ranges. */
  readonly lines: readonly string[];
}

/** What an interrupted backup stored: what of it can be offered to the transport, and what came of it. */
export class TakenOverParts {
  readonly #server: ServerFacts;
  readonly #facts: PartFacts;
  readonly #onKept: (part: KeptPart) => void;
  readonly #damaged: string[] = [];
  #found = 0;
  #reused: Reused = { objects: 0, sourceBytes: 0, storedBytes: 0 };

  constructor(init: {
    readonly server: ServerFacts;
    readonly facts: PartFacts;
    readonly onKept: (part: KeptPart) => void;
  }) {
    this.#server = init.server;
    this.#facts = init.facts;
    this.#onKept = init.onKept;
  }

  /** Those that this backup may use, if their files are the same. The others are removed. */
  async offered(leftovers: readonly Leftover[]): Promise<StoredPart[]> {
    const parts: StoredPart[] = [];
    this.#found = leftovers.length;
    for (const leftover of leftovers) {
      const part = await offeredPart(leftover, this.#facts);
      const tablespace = part && this.#placeOf(part);
      if (part && tablespace !== undefined) parts.push(this.#part(leftover, part, tablespace));
      else await leftover.remove();
    }
    return parts;
  }

  get reused(): Reused {
    return this.#reused;
  }

  get findings(): Finding[] {
    const damaged = this.#damaged.map(
      (object): Finding => ({
        id: "stored-part-damaged",
        severity: "warning",
        summary: `${object}, which an interrupted backup had stored, was damaged in the repository; its files were stored again`,
        remedy: "lifeboat verify --deep finds what else is damaged there; look at its disk",
      }),
    );
    if (this.#found === 0) return damaged;
    const { objects } = this.#reused;
    const summary = `went on with an interrupted backup: of the ${this.#found} parts that it had stored, ${objects} are the same as the server's files and were kept`;
    return [
      ...damaged,
      { id: "backup-continued", severity: "info", summary, remedy: "nothing to do" },
    ];
  }

  /** Undefined for a tablespace that is gone. */
  #placeOf({ tablespace }: OfferedPart): ServerTablespace | null | undefined {
    if (tablespace === null) return null;
    return this.#server.tablespaces.find(({ oid }) => oid === tablespace);
  }

  #part(
    leftover: Leftover,
    { files, folders, lines }: OfferedPart,
    tablespace: ServerTablespace | null,
  ): StoredPart {
    const { object } = leftover;
    return {
      files,
      folders,
      keep: async () => {
        const kept = await leftover.keep(tablespace ? "tablespace" : "base");
        if (!kept) {
          this.#damaged.push(object);
          return false;
        }
        const { objects, sourceBytes, storedBytes } = this.#reused;
        this.#reused = {
          objects: objects + 1,
          sourceBytes: sourceBytes + kept.content.bytes,
          storedBytes: storedBytes + kept.stored.bytes,
        };
        this.#onKept({ object, tablespace, lines });
        return true;
      },
      discard: () => leftover.remove(),
    };
  }
}
