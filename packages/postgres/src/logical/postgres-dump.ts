import { createReadStream } from "node:fs";
import { join } from "node:path";
import {
  type Dump,
  type DumpFacts,
  type DumpPiece,
  type Finding,
  sealedJson,
} from "@lifeboat/core";
import type { Scratch } from "../server/scratch.ts";
import { type DumpFile, partsOf, type TarEntry, tarOf } from "./dump-tar.ts";

/** The folder of a dump in its tars, and below the directory they are unpacked into. */
export const DUMP_FOLDER = "dump";
/** Roles and tablespaces of the cluster, without passwords: plain SQL. */
export const GLOBALS = "globals.sql";
/** What a dump in a file of its own says of itself: first in the tar. */
export const FACTS = "export.json";
/** The digests of all entries before it: last in the tar, so that one that was cut has none. */
export const SUMS = "SHA256SUMS";

export interface DumpOnDisk {
  readonly facts: DumpFacts;
  readonly scratch: Scratch;
  /** The files of pg_dump's directory, below the scratch folder; `toc.dat` among them. */
  readonly files: readonly DumpFile[];
  readonly globals: DumpFile | null;
  readonly findings: readonly Finding[];
  /** How large a part may grow. */
  readonly partBytes: number;
}

/** A dump as it lies in its scratch folder. */
export class PostgresDump implements Dump {
  readonly facts: DumpFacts;
  readonly bytes: number;
  readonly findings: readonly Finding[];
  readonly #on: DumpOnDisk;

  constructor(on: DumpOnDisk) {
    this.facts = on.facts;
    this.findings = on.findings;
    this.bytes = this.#all(on).reduce((bytes, file) => bytes + file.bytes, 0);
    this.#on = on;
  }

  *pieces(): Iterable<DumpPiece> {
    const { files, globals, partBytes } = this.#on;
    for (const [index, part] of partsOf(files, partBytes).entries()) {
      const name = `dump.${String(index + 1).padStart(4, "0")}.tar`;
      yield { name, role: "dump", content: tarOf(part) };
    }
    if (globals) yield { name: GLOBALS, role: "globals", content: createReadStream(globals.path) };
  }

  archive(): AsyncIterable<Uint8Array> {
    const sums: string[] = [];
    const entries = function* (this: PostgresDump): Generator<TarEntry> {
      yield { name: FACTS, text: sealedJson({ format: 1, ...this.facts }) };
      yield* this.#all(this.#on);
      yield { name: SUMS, text: sums.join("") };
    };
    return tarOf(entries.call(this), (name, sha256) => sums.push(`${sha256}  ${name}\n`));
  }

  close(): Promise<void> {
    return this.#on.scratch.remove();
  }

  #all({ files, globals }: DumpOnDisk): DumpFile[] {
    return globals ? [...files, globals] : [...files];
  }
}

export function dumpDirectory(scratch: string): string {
  return join(scratch, DUMP_FOLDER);
}
