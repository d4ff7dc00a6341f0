import { createHash } from "node:crypto";
import { LifeboatError } from "./errors.ts";

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
  if (typeof value !== "object" || value === null) throw corrupt(object, "is not a JSON object");
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
