import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { isCount, isInstant, isObjectEntry, isRecord, SAFE_NAME } from "./json-shape.ts";
import { openSealedJson, sealedJson } from "./sealed-json.ts";
import type { Digest } from "./stream/digest.ts";

/** The name of a backup and of its folder. */
export const BACKUP_ID = /^\d{8}T\d{6}\.\d{3}Z-(full|incr)$/;

/** One data object of a backup. */
export interface ManifestObject {
  /** Its name in the backup's folder, with `.zst` (and `.age`): `base.tar.zst`. */
  readonly object: string;
  /** What the engine keeps in it: `database`, `tablespace`, `backup-manifest`, `settings` … */
  readonly role: string;
  /** What the engine handed over and gets back. */
  readonly content: Digest;
  /** What lies in the storage. */
  readonly stored: Digest;
}

export type BackupType = "full" | "incremental";

/**
 * What a backup is. Written last, in one atomic step: a backup without it does not exist.
 * `FORMAT.md` specifies the file; it holds no secret and no row of data.
 */
export interface Manifest {
  readonly format: 1;
  /** `20261122T101500.123Z-full`: sorts by time. */
  readonly id: string;
  readonly app: string;
  readonly engine: EngineKind;
  /** The database in the engine: a SQLite database's name, a Postgres system identifier. */
  readonly database: string;
  readonly type: BackupType;
  /** The id of the backup that this one builds on; null for a full one. */
  readonly parent: string | null;
  readonly label: string | null;
  /** ISO 8601 UTC with milliseconds, as all instants here. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The instant whose state this backup alone restores. */
  readonly consistentAt: string;
  /** Bytes handed over by the engine, and bytes stored for them. */
  readonly sourceBytes: number;
  readonly storedBytes: number;
  readonly tool: string;
  readonly objects: readonly ManifestObject[];
  /** What only the engine understands: positions, versions, modes. */
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * The manifest as the file that is stored: JSON with two spaces, closed by a `sha256` over the
 * same text without that member, so that a cut or altered manifest is told from a whole one.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(sealedJson(manifest as unknown as Record<string, unknown>));
}

/**
 * Reads what {@link encodeManifest} wrote.
 * @throws LifeboatError `MANIFEST_CORRUPT` naming `object` when it is cut, altered or of another shape;
 *   `FORMAT_TOO_NEW` when a newer Lifeboat wrote it.
 */
export function decodeManifest(bytes: Uint8Array, object: string): Manifest {
  return assertManifestShape(openSealedJson(bytes, object), object);
}

/**
 * Proves that a value read from a repository is a manifest that this version understands. An archive
 * may be hostile: whatever becomes a path later is checked here, once.
 */
function assertManifestShape(value: Record<string, unknown>, object: string): Manifest {
  const fail = (member: string): never => {
    throw new LifeboatError({
      code: "MANIFEST_CORRUPT",
      message: `${object}: "${member}" is missing or of the wrong kind`,
      remedy: "this is no manifest of Lifeboat: restore another backup (lifeboat list)",
      details: { object, member },
    });
  };
  if (typeof value.format !== "number") fail("format");
  if (value.format !== 1)
    throw new LifeboatError({
      code: "FORMAT_TOO_NEW",
      message: `${object} has format ${value.format}; this version reads format 1`,
      remedy:
        "use the Lifeboat that wrote it (its version stands in the member tool), or a newer one",
      details: { object, format: value.format },
    });
  const matches = (member: string, shape: RegExp) => {
    const found = value[member];
    if (typeof found !== "string" || !shape.test(found)) fail(member);
  };
  matches("id", BACKUP_ID);
  matches("app", SAFE_NAME);
  matches("engine", /^(sqlite|postgres)$/);
  matches("database", SAFE_NAME);
  matches("type", /^(full|incremental)$/);
  for (const member of ["startedAt", "finishedAt", "consistentAt"])
    if (!isInstant(value[member])) fail(member);
  for (const member of ["sourceBytes", "storedBytes"]) if (!isCount(value[member])) fail(member);
  if (value.parent !== null) matches("parent", BACKUP_ID);
  if (value.label !== null && typeof value.label !== "string") fail("label");
  if (typeof value.tool !== "string") fail("tool");
  if (!isRecord(value.details)) fail("details");
  if (!Array.isArray(value.objects)) fail("objects");
  for (const [index, entry] of (value.objects as unknown[]).entries())
    if (!isObjectEntry(entry)) fail(`objects[${index}]`);
  return value as unknown as Manifest;
}
