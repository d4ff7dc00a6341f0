import { LifeboatError } from "./errors.ts";
import type { Digest } from "./stream/digest.ts";

/**
 * What a log object says of itself: its content, and all that lies in the storage before the seal.
 * Both, since a flipped bit in zstd's own headers may leave the content whole.
 */
export interface Seal {
  readonly content: Digest;
  readonly stored: Digest;
}

/**
 * Log objects have no manifest, so each carries its digests in itself: a last skippable frame
 * (RFC 8878, section 3.1.2), which `zstd -d` passes over. It has always the same length, so it can
 * be read alone and taken off a stream.
 */
const MAGIC = 0x184d2a5b;
const HEADER = 8;

export function sealFrame(seal: Seal): Uint8Array {
  const text = Buffer.from(
    `lifeboat ${digestText("content", seal)} ${digestText("stored", seal)}\n`,
  );
  const frame = Buffer.alloc(HEADER + text.length);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(text.length, 4);
  text.copy(frame, HEADER);
  return frame;
}

const NOTHING: Digest = { bytes: 0, sha256: "0".repeat(64) };
export const SEAL_BYTES: number = sealFrame({ content: NOTHING, stored: NOTHING }).length;

/** Reads a seal, or throws `CHECKSUM_MISMATCH` naming the object when there is none. */
export function readSeal(frame: Uint8Array, object: string): Seal {
  const bytes = Buffer.from(frame);
  const side = "sha256=([0-9a-f]{64}) bytes=(\\d{20})";
  const match = new RegExp(`^lifeboat content ${side} stored ${side}\n$`).exec(
    bytes.subarray(HEADER).toString("latin1"),
  );
  const whole =
    bytes.length === SEAL_BYTES &&
    bytes.readUInt32LE(0) === MAGIC &&
    bytes.readUInt32LE(4) === SEAL_BYTES - HEADER;
  if (!whole || !match)
    throw checksumMismatch(
      object,
      "is cut short or no log object of Lifeboat (no seal at its end)",
    );
  return {
    content: { sha256: match[1] as string, bytes: Number(match[2]) },
    stored: { sha256: match[3] as string, bytes: Number(match[4]) },
  };
}

function digestText(side: keyof Seal, seal: Seal): string {
  const { bytes, sha256 } = seal[side];
  return `${side} sha256=${sha256} bytes=${String(bytes).padStart(20, "0")}`;
}

/** An object of the repository that is not what was stored. */
export function checksumMismatch(object: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "CHECKSUM_MISMATCH",
    message: `${object} ${what}`,
    remedy:
      "bring this object back from a copy of the repository, or restore what does not need it: another backup, or with a damaged log an instant before it (--backup, --at; lifeboat list); lifeboat verify finds all that is damaged",
    details: { object },
    cause,
  });
}
