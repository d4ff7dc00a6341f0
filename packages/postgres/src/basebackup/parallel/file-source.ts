export interface DirectoryEntry {
  readonly name: string;
  readonly kind: "file" | "directory";
  /** Permission bits. */
  readonly mode: number;
  readonly bytes: number;
  /** When it was written last, in milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** A file of the cluster that is open for reading. The server goes on writing it meanwhile. */
export interface SourceFile {
  /** When it was opened: what is read of it has this size, whatever becomes of it. */
  readonly bytes: number;
  readonly mode: number;
  readonly modified: Date;
  /**
   * From the start, in pieces of whole pages; ends early where the file has become shorter. A piece is
   * good until the next is asked for.
   */
  read(): AsyncIterable<Buffer>;
  /** Fewer bytes, or none, past its end. */
  readAt(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * The files of a cluster, by their paths from its data directory: from the disk, or through the server.
 * Entries that are neither files nor directories are left out; those that vanish are none.
 */
export interface FileSource {
  readDirectory(path: string): Promise<readonly DirectoryEntry[]>;
  /** undefined when it is not there any more. */
  open(path: string): Promise<SourceFile | undefined>;
  close(): Promise<void>;
}
