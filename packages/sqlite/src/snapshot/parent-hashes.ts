import {
  type DatabaseFolder,
  type Finding,
  isObjectDamage,
  type Manifest,
  type ManifestObject,
} from "@lifeboat/core";
import type { ConfiguredDatabase } from "../configured-database.ts";
import { detailsOf } from "../details.ts";
import { examine } from "../examine/examine.ts";
import { RawReader } from "../raw/raw-reader.ts";
import { PAGE_HASH_BYTES } from "./page-hash.ts";

/** The page hashes that a backup keeps, one page after the other. */
export class ParentHashes {
  readonly pageCount: number;
  readonly #content: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(folder: DatabaseFolder, manifest: Manifest) {
    const object = hashesOf(manifest);
    if (!object) throw new Error(`backup ${manifest.id} keeps no page hashes`);
    this.pageCount = object.content.bytes / PAGE_HASH_BYTES;
    this.#content = folder.readObject(manifest, object);
  }

  /** The next page's hash; undefined after the last. */
  async next(): Promise<Buffer | undefined> {
    while (this.#chunk.length < PAGE_HASH_BYTES) {
      const { value, done } = await this.#content.next();
      if (done) return undefined;
      this.#chunk = Buffer.concat([this.#chunk, value]);
    }
    const hash = this.#chunk.subarray(0, PAGE_HASH_BYTES);
    this.#chunk = this.#chunk.subarray(PAGE_HASH_BYTES);
    return hash;
  }

  async close(): Promise<void> {
    await this.#content.return?.();
  }
}

/**
 * What keeps an incremental backup from building on a parent: page hashes that are missing or damaged,
 * another page size.
 * @param parents the direct one last
 * @returns the finding for the full backup that is taken instead; null when nothing does
 */
export async function obstacleToIncrement(
  database: ConfiguredDatabase,
  folder: DatabaseFolder,
  parents: readonly [Manifest, ...Manifest[]],
): Promise<Finding | null> {
  const parent = parents.at(-1) as Manifest;
  const details = detailsOf(parent);
  const pageSize = await pageSizeOf(database.path);
  if (details.pageSize !== pageSize)
    return becameFull(
      `the database has pages of ${pageSize} bytes now, ${parent.id} has them of ${details.pageSize}`,
    );
  const object = hashesOf(parent);
  if (!object) return becameFull(`${parent.id} keeps no page hashes`);
  if (object.content.bytes !== details.pageCount * PAGE_HASH_BYTES)
    return becameFull(`the page hashes of ${parent.id} are not those of its pages`, "warning");
  try {
    for await (const _ of folder.readObject(parent, object));
    return null;
  } catch (thrown) {
    if (!isObjectDamage(thrown)) throw thrown;
    return becameFull(thrown.message, "warning");
  }
}

async function pageSizeOf(path: string): Promise<number> {
  const reader = new RawReader();
  try {
    return (await examine(reader, path)).header.pageSize;
  } finally {
    await reader.close();
  }
}

function hashesOf(manifest: Manifest): ManifestObject | undefined {
  return manifest.objects.find(({ role }) => role === "page-hashes");
}

function becameFull(why: string, severity: Finding["severity"] = "info"): Finding {
  return {
    id: "incremental-became-full",
    severity,
    summary: `this backup is full, since nothing could be built on the newest one: ${why}`,
    remedy:
      severity === "info"
        ? "the next --type incremental builds on this one"
        : "run lifeboat verify, which finds all that is damaged; the next --type incremental builds on this backup",
  };
}
