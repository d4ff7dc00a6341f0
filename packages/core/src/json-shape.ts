/** A name that is one part of a path and cannot leave its folder. */
export const SAFE_NAME = /^(?!\.)[A-Za-z0-9._@+=-]{1,200}$/;
const SHA256 = /^[0-9a-f]{64}$/;

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
