import type { EngineKind } from "./engine-kind.ts";
import type { DumpFacts } from "./export-manifest.ts";
import type { Finding } from "./finding.ts";
import type { Report } from "./progress.ts";

/** One piece of a dump as it is stored: a tar of role `dump`, or another file. */
export interface DumpPiece {
  /** Without `.zst`. */
  readonly name: string;
  readonly role: string;
  readonly content: AsyncIterable<Uint8Array>;
}

/** A dump that was taken and lies in a scratch folder until it is closed. */
export interface Dump {
  readonly facts: DumpFacts;
  /** Bytes of all its files. */
  readonly bytes: number;
  /** To be read one after the other, each to its end. */
  pieces(): Iterable<DumpPiece>;
  /** All of it as one tar that says what it is and proves its content. */
  archive(): AsyncIterable<Uint8Array>;
  readonly findings: readonly Finding[];
  /** Removes the scratch folder. May be called twice. */
  close(): Promise<void>;
}

/** A live database that can be dumped: rows and definitions, for a server of another version. */
export interface DumpSource {
  readonly engine: EngineKind;
  /** The folder in the repository: for Postgres the system identifier. */
  folderName(): Promise<string>;
  /** Leaves nothing behind, on the server or in a scratch folder, when it throws or is aborted. */
  dump(request: { readonly report: Report; readonly signal: AbortSignal }): Promise<Dump>;
}
