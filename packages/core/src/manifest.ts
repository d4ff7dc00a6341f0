import { createHash } from "node:crypto";
import type { EngineKind } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import { assertManifestShape } from "./manifest-shape.ts";
import type { Digest } from "./stream/digest.ts";

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

/** JSON text of an object that ends in its own digest. */
export function sealedJson(value: Record<string, unknown>): string {
  const { sha256: _, ...body } = value;
  const sha256 = digestOf(JSON.stringify(body, null, 2));
  return `${JSON.stringify({ ...body, sha256 }, null, 2)}\n`;
}

/** Reads {@link sealedJson}, or throws `MANIFEST_CORRUPT` naming the object. */
export function openSealedJson(bytes: Uint8Array, object: string): Record<string, unknown> {
  const text = Buffer.from(bytes).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(object, `is not whole JSON (${bytes.length} bytes)`, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw corrupt(object, "is not a JSON object");
  // Byte for byte, so that a changed blank counts as well: whatever is not what we wrote is suspect.
  if (resealed(value as Record<string, unknown>, object) !== text)
    throw corrupt(object, "does not match its own SHA-256");
  const { sha256: _, ...body } = value as Record<string, unknown>;
  return body;
}

/** Text can be nested deeper than it can be written again. */
function resealed(value: Record<string, unknown>, object: string): string {
  try {
    return sealedJson(value);
  } catch (cause) {
    throw corrupt(object, "is nested too deeply", cause);
  }
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function corrupt(object: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${object} ${what}`,
    remedy:
      "restore another backup (lifeboat list), and bring this object back from a copy of the repository",
    details: { object },
    cause,
  });
}
