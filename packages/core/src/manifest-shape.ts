import { LifeboatError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";

/** A name that is one part of a path and cannot leave its folder. */
export const SAFE_NAME = /^(?!\.)[A-Za-z0-9._@+=-]{1,200}$/;
const BACKUP_ID = /^\d{8}T\d{6}\.\d{3}Z-(full|incr)$/;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Proves that a value read from a repository is a manifest that this version understands. An archive
 * may be hostile: whatever becomes a path later is checked here, once.
 */
export function assertManifestShape(value: Record<string, unknown>, object: string): Manifest {
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

/** An entry of a manifest's `objects`, whose name cannot leave its folder. */
export function isObjectEntry(entry: unknown): boolean {
  if (!isRecord(entry) || typeof entry.role !== "string") return false;
  // One folder below is allowed (`settings/postgresql.conf.zst`), nothing that climbs.
  const parts = typeof entry.object === "string" ? entry.object.split("/") : [];
  if (parts.length < 1 || parts.length > 2 || !parts.every((part) => SAFE_NAME.test(part)))
    return false;
  return isDigest(entry.content) && isDigest(entry.stored);
}

function isDigest(value: unknown): boolean {
  return (
    isRecord(value) &&
    isCount(value.bytes) &&
    typeof value.sha256 === "string" &&
    SHA256.test(value.sha256)
  );
}

export function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isInstant(value: unknown): boolean {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value))
    return false;
  // Digits alone are no date: of the 99th of a month nothing can be told.
  return !Number.isNaN(Date.parse(value));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
