/** An object as a storage knows it. */
export interface StoredObject {
  /** From the repository's root, `/` between parts, never starting with `/` and without `..`. */
  readonly path: string;
  readonly bytes: number;
  /** When it became visible, by the storage's clock. */
  readonly storedAt: Date;
}

/** One page of a listing, in ascending order of path (by UTF-8 bytes). */
export interface ListPage {
  readonly objects: readonly StoredObject[];
  /** With `delimiter`: the folders directly below the prefix, each with its closing `/`. */
  readonly folders: readonly string[];
  /** Hand it back as `after` for the next page; null when this was the last. */
  readonly next: string | null;
}

export interface ListOptions {
  /** Only objects whose path starts with it; "" is the whole repository. */
  readonly prefix: string;
  /** Fold everything below the next `/` after the prefix into `folders`. */
  readonly folded?: boolean;
  readonly after?: string | undefined;
  readonly limit?: number;
}

/** A range of bytes: from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/**
 * A place that keeps bytes: the seam behind which a filesystem, S3 or SFTP lies.
 *
 * Objects are written once and never rewritten, so object lock and append-only keys work. All
 * methods may be called at the same time. Passing faults of the network are retried inside; what
 * is thrown is final. Errors are LifeboatErrors: `OBJECT_EXISTS` (create), `OBJECT_MISSING`
 * (read), `OBJECT_UNREADABLE` (this one; others may be well), `STORAGE_FULL`, `STORAGE_DENIED`, `STORAGE_UNREACHABLE`.
 */
export interface Storage {
  /** What to call it in messages: type and place, never a secret. */
  readonly description: string;

  /**
   * Writes a new object. When this resolves, the object is whole, durable, confirmed (read back, or
   * by a digest of the storage's own) and visible under its path, and its size is returned; until
   * then nothing is visible there. If an object is there
   * already, it is left alone and `OBJECT_EXISTS` is thrown (conditional create: of two at once,
   * exactly one wins). If `content` throws, nothing is left behind. Large content is sent in
   * parts where the storage has them. Chunks belong to the storage from when they are given: while it writes one it
   * may ask for the next.
   */
  create(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<number>;

  /** The object's bytes, or a range of them. Throws `OBJECT_MISSING` at the first read. */
  read(path: string, range?: ByteRange): AsyncIterable<Uint8Array>;

  /** The object's size and time, or undefined if there is none. Throws only if it cannot be known. */
  stat(path: string): Promise<StoredObject | undefined>;

  /**
   * One page of what is there. An empty or missing folder is an empty page. Where a storage can, an object that was removed
   * meanwhile is missing only if what was stored in its place before is on the page.
   */
  list(options: ListOptions): Promise<ListPage>;

  /** Removes an object; one that is not there is no error. */
  remove(path: string): Promise<void>;

  /**
   * Prepares an empty place to become a repository, or throws. A place that is missing is made
   * only if its parent is there (a parent that is missing is a typing error or a vanished mount).
   */
  initialize(): Promise<void>;

  /** Bytes that can still be written, or null where that has no meaning. */
  freeBytes(): Promise<number | null>;
}
