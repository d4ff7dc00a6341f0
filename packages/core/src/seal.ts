import { LifeboatError } from "./errors.ts";
import type { Digest } from "./manifest.ts";

/**
 * Log objects have no manifest, so each carries the digest of its content in itself: a last
 * skippable frame (RFC 8878, section 3.1.2), which `zstd -d` passes over. It has always the same
 * length, so it can be read alone and taken off a stream.
 */
const MAGIC = 0x184d2a5b;
const HEADER = 8;

export function sealFrame(content: Digest): Uint8Array {
  const text = Buffer.from(sealText(content));
  const frame = Buffer.alloc(HEADER + text.length);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(text.length, 4);
  text.copy(frame, HEADER);
  return frame;
}

export const SEAL_BYTES: number = sealFrame({ bytes: 0, sha256: "0".repeat(64) }).length;

/** Reads a seal, or throws `CHECKSUM_MISMATCH` naming the object when there is none. */
export function readSeal(frame: Uint8Array, object: string): Digest {
  const bytes = Buffer.from(frame);
  const match = /^lifeboat content sha256=([0-9a-f]{64}) bytes=(\d{20})\n$/.exec(
    bytes.subarray(HEADER).toString("latin1"),
  );
  if (bytes.length !== SEAL_BYTES || bytes.readUInt32LE(0) !== MAGIC || !match?.[1])
    throw checksumMismatch(
      object,
      "is cut short or no log object of Lifeboat (no seal at its end)",
    );
  return { sha256: match[1], bytes: Number(match[2]) };
}

function sealText({ bytes, sha256 }: Digest): string {
  return `lifeboat content sha256=${sha256} bytes=${String(bytes).padStart(20, "0")}\n`;
}

/** An object of the repository that is not what was stored. */
export function checksumMismatch(object: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "CHECKSUM_MISMATCH",
    message: `${object} ${what}`,
    remedy:
      "bring this object back from a copy of the repository, or choose another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { object },
    cause,
  });
}
