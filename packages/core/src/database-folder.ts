import { checkedContent, sealedContent } from "./checked-read.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { allObjects } from "./listing.ts";
import { type LogNote, noteFrame, readLogNote } from "./log-note.ts";
import type { Manifest, ManifestObject } from "./manifest.ts";
import { type ObjectRanges, RANGE_BYTES } from "./object-ranges.ts";
import { RangedRead } from "./ranged-read.ts";
import { checksumMismatch, sealFrame } from "./seal.ts";
import type { Storage, StoredObject } from "./storage.ts";
import { compress } from "./stream/compress.ts";
import { DigestMeter } from "./stream/digest.ts";

/** zstd levels: for the objects of a backup, and for the log. */
export interface Compression {
  readonly level: number;
  readonly logLevel: number;
}

/** What is stored with an object, or noted of it on its way. */
export interface StoredBeside {
  /** Takes note of each MiB of it. */
  readonly ranges?: ObjectRanges;
  /**
   * Asked for once the content has passed, and stored behind it, with a seal: what an interrupted backup's objects
   * are told by, which have no manifest.
   */
  readonly note?: () => LogNote;
}

/**
 * One database's part of a repository, `<app>/<engine>/<database>/`: where an engine puts and finds
 * the objects of its backups and of its log. All bytes pass through the stream steps here, and
 * nowhere else: digest, zstd, digest as stored; and the same way back.
 */
export class DatabaseFolder {
  readonly storage: Storage;
  readonly app: string;
  readonly engine: EngineKind;
  readonly database: string;
  readonly compression: Compression;
  /** Of the log: blocks that are packed or unpacked at once; undefined: what keeps all cores busy. */
  readonly atOnce: number | undefined;

  constructor(init: {
    storage: Storage;
    app: string;
    engine: EngineKind;
    database: string;
    compression: Compression;
    atOnce?: number | undefined;
  }) {
    this.storage = init.storage;
    this.app = init.app;
    this.engine = init.engine;
    this.database = init.database;
    this.compression = init.compression;
    this.atOnce = init.atOnce;
  }

  /** The same folder, its bytes going through another storage. */
  over(storage: Storage): DatabaseFolder {
    return new DatabaseFolder({ ...this, storage });
  }

  /**
   * The same folder for work on the log that nobody waits for: in one thread and in the memory of one block, whoever else
   * works on this machine.
   */
  unhurried(): DatabaseFolder {
    return new DatabaseFolder({ ...this, atOnce: 1 });
  }

  /** From the repository's root, without a closing `/`. */
  get path(): string {
    return `${this.app}/${this.engine}/${this.database}`;
  }

  backupPath(id: string): string {
    return `${this.path}/backups/${id}`;
  }

  /** Where the objects of an export lie. */
  exportPath(id: string): string {
    return `${this.path}/exports/${id}`;
  }

  /** The path of an object of a backup, as messages name it. */
  objectPath(manifest: Manifest, object: ManifestObject): string {
    return `${this.backupPath(manifest.id)}/${object.object}`;
  }

  /**
   * Stores one object of a backup; resolves when it is durable and its size is confirmed.
   */
  storeObject(
    id: string,
    name: string,
    role: string,
    content: AsyncIterable<Uint8Array>,
    beside: StoredBeside = {},
  ): Promise<ManifestObject> {
    return this.#store(this.backupPath(id), name, role, content, beside);
  }

  /** The same for one object of an export. */
  storeExportObject(
    id: string,
    name: string,
    role: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<ManifestObject> {
    return this.#store(this.exportPath(id), name, role, content);
  }

  async #store(
    below: string,
    name: string,
    role: string,
    content: AsyncIterable<Uint8Array>,
    { ranges, note }: StoredBeside = {},
  ): Promise<ManifestObject> {
    const onEnd = (sha256: string) => ranges?.addDigest(sha256);
    const contentMeter = new DigestMeter(ranges && { bytes: RANGE_BYTES, onEnd });
    const storedMeter = new DigestMeter();
    const object = `${name}.zst`;
    const { level } = this.compression;
    const packed = async function* () {
      const onFrame = (bytes: number) => ranges?.addFrame(bytes);
      yield* compress(contentMeter.through(content), level, { onFrame });
      if (!note) return;
      yield noteFrame(note());
      yield sealFrame({ content: contentMeter.soFar(), stored: storedMeter.soFar() });
    };
    const path = `${below}/${object}`;
    const written = await this.storage.create(path, storedMeter.through(packed()));
    const stored = storedMeter.value();
    if (written !== stored.bytes)
      throw checksumMismatch(path, `was stored with ${written} bytes instead of ${stored.bytes}`);
    return { object, role, content: contentMeter.value(), stored };
  }

  /**
   * The content of an object of a backup. Both digests are checked; the last chunk comes only after
   * they agreed.
   * @throws LifeboatError `CHECKSUM_MISMATCH`, `OBJECT_MISSING`, naming the object
   */
  readObject(manifest: Manifest, object: ManifestObject): AsyncGenerator<Uint8Array> {
    const path = this.objectPath(manifest, object);
    return checkedContent(this.storage.read(path), object, path);
  }

  /** Reads of an object of a backup what a copy of its content lacks. Close it. */
  readByRange(manifest: Manifest, object: ManifestObject, ranges: ObjectRanges): RangedRead {
    const path = this.objectPath(manifest, object);
    return new RangedRead({ storage: this.storage, path, object, ranges });
  }

  /**
   * The content of an object of an export, checked in the same way.
   * @throws LifeboatError `CHECKSUM_MISMATCH`, `OBJECT_MISSING`, naming the object
   */
  readExportObject(id: string, object: ManifestObject): AsyncGenerator<Uint8Array> {
    const path = `${this.exportPath(id)}/${object.object}`;
    return checkedContent(this.storage.read(path), object, path);
  }

  /**
   * Stores one log object under `wal/`, once. The same content again is fine, whoever stored it.
   * @param name below `wal/`, without `.zst`: `00000001/000000010000000000000003`
   * @param note asked for once the content has passed, and stored with the object
   * @returns whether it was stored now or was there already
   * @throws LifeboatError `LOG_OBJECT_DIFFERS` when other content lies under that name
   */
  async storeLog(
    name: string,
    content: () => AsyncIterable<Uint8Array>,
    note?: () => LogNote,
  ): Promise<"stored" | "present"> {
    const path = this.logPath(name);
    // Asked first, so that a repeated push costs one request and no compression.
    if (await this.storage.stat(path)) return this.#assertSameLog(path, content());
    try {
      await this.storage.create(path, this.#sealed(content(), note));
      return "stored";
    } catch (cause) {
      if (!(cause instanceof LifeboatError) || cause.code !== "OBJECT_EXISTS") throw cause;
      return this.#assertSameLog(path, content());
    }
  }

  /**
   * The content of a log object, checked against the digest it carries; the last chunk comes only
   * after that.
   * @param mostBytes what it may hold at most; PostgreSQL's largest segment when left out
   * @throws LifeboatError `CHECKSUM_MISMATCH`, `OBJECT_MISSING`, naming the object
   */
  readLog(name: string, mostBytes?: number): AsyncGenerator<Uint8Array> {
    const path = this.logPath(name);
    return sealedContent(this.storage.read(path), path, { mostBytes, atOnce: this.atOnce });
  }

  /**
   * The note that was stored with a log object, read from its end alone; undefined where it has none.
   * @param stored as the listing gave it; asked for when left out
   * @throws LifeboatError `MANIFEST_CORRUPT` naming the object; `OBJECT_MISSING`
   */
  async readLogNote(name: string, stored?: StoredObject): Promise<LogNote | undefined> {
    const path = this.logPath(name);
    const { bytes } = stored ?? (await this.storage.stat(path)) ?? { bytes: 0 };
    return readLogNote(this.storage, path, bytes);
  }

  /** Removes a log object, such as one that was merged into another. */
  async removeLog(name: string): Promise<void> {
    await this.storage.remove(this.logPath(name));
  }

  /** The log objects whose name starts with `prefix`, by name, in ascending order. */
  async *listLog(prefix = ""): AsyncGenerator<{ name: string; stored: StoredObject }> {
    const root = `${this.path}/wal/`;
    for await (const stored of allObjects(this.storage, `${root}${prefix}`))
      if (stored.path.endsWith(".zst"))
        yield { name: stored.path.slice(root.length, -".zst".length), stored };
  }

  async statLog(name: string): Promise<StoredObject | undefined> {
    return this.storage.stat(this.logPath(name));
  }

  /** The path of a log object from the repository's root. */
  logPath(name: string): string {
    return `${this.path}/wal/${name}.zst`;
  }

  async *#sealed(
    content: AsyncIterable<Uint8Array>,
    note?: () => LogNote,
  ): AsyncGenerator<Uint8Array> {
    const { atOnce, compression } = this;
    const contentMeter = new DigestMeter();
    const storedMeter = new DigestMeter();
    const packed = async function* () {
      yield* compress(contentMeter.through(content), compression.logLevel, { atOnce });
      if (note) yield noteFrame(note());
    };
    yield* storedMeter.through(packed());
    yield sealFrame({ content: contentMeter.value(), stored: storedMeter.value() });
  }

  async #assertSameLog(path: string, content: AsyncIterable<Uint8Array>): Promise<"present"> {
    const mine = await digestOfAll(content);
    // The whole object is read: one that is damaged must not count as archived.
    const there = await digestOfAll(sealedContent(this.storage.read(path), path));
    if (mine.sha256 === there.sha256) return "present";
    throw new LifeboatError({
      code: "LOG_OBJECT_DIFFERS",
      kind: "refused",
      message: `${path} is in the repository already, with other content`,
      remedy: `${WHO_ELSE[this.engine]}, or an old copy was started: give each its own repository, and never delete this object`,
      details: { object: path },
    });
  }
}

/** Who may have stored another object under a name that was thought to be free. */
const WHO_ELSE: Readonly<Record<EngineKind, string>> = {
  sqlite: "two databases of one name are shipped to one place",
  postgres: "two servers archive to one place",
};

async function digestOfAll(content: AsyncIterable<Uint8Array>) {
  const meter = new DigestMeter();
  for await (const _ of meter.through(content));
  return meter.value();
}
