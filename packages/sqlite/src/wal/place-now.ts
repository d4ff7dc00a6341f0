import { closeSync, openSync, readSync } from "node:fs";
import { isSystemError } from "@lifeboat/core";
import { FRAME, FRAME_HEADER_BYTES } from "./frame.ts";
import { WAL_HEADER_BYTES } from "./header.ts";
import type { LogPlace } from "./place.ts";

const NOWHERE: LogPlace = { salt1: 0, salt2: 0, frames: 0, checksum1: 0, checksum2: 0 };

/**
 * The place behind so many frames of a database's WAL, read while nobody can write: behind the gate.
 * SQLite keeps no lock on the `-wal` file, so reading it here loses none (facts: close() of a
 * descriptor of the database or its `-shm` would).
 */
export function placeNow(path: string, frames: number, pageSize: number): LogPlace {
  const header = readAt(`${path}-wal`, 0, WAL_HEADER_BYTES);
  if (!header) return NOWHERE;
  const [salt1, salt2] = [header.readUInt32BE(16), header.readUInt32BE(20)];
  if (frames <= 0)
    return {
      salt1,
      salt2,
      frames: 0,
      checksum1: header.readUInt32BE(24),
      checksum2: header.readUInt32BE(28),
    };
  const at = WAL_HEADER_BYTES + (frames - 1) * (FRAME_HEADER_BYTES + pageSize);
  const frame = readAt(`${path}-wal`, at, FRAME_HEADER_BYTES);
  if (!frame) return NOWHERE;
  const checksum1 = frame.readUInt32BE(FRAME.checksum1);
  const checksum2 = frame.readUInt32BE(FRAME.checksum2);
  return { salt1, salt2, frames, checksum1, checksum2 };
}

/** Undefined where the file is missing or shorter. */
function readAt(path: string, position: number, length: number): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return undefined;
    throw thrown;
  }
  try {
    const bytes = Buffer.alloc(length);
    return readSync(file, bytes, 0, length, position) === length ? bytes : undefined;
  } finally {
    closeSync(file);
  }
}
