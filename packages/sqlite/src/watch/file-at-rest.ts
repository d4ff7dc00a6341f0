import { statSync } from "node:fs";

/**
 * A database file as a watch left it, with all that was committed in it. For as long as it is untouched, whatever was committed
 * since lies in the WAL alone, from its start on: a WAL is begun anew, or removed, only once it is copied back into the file.
 */
export interface FileAtRest {
  readonly dev: string;
  readonly ino: string;
  readonly size: string;
  readonly mtimeNs: string;
  /** No program can set this one. */
  readonly ctimeNs: string;
}

const MEMBERS = ["dev", "ino", "size", "mtimeNs", "ctimeNs"] as const;
/** A file system's clock ticks every few milliseconds (Linux: 1 to 10): what is written within one tick bears the same time. */
export const TICK_MS = 25;

/** How it lies there; undefined where the next write might bear the same time, or where none is. Asking opens nothing. */
export function fileAtRest(path: string): FileAtRest | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!found || Date.now() - Number(found.ctimeMs) < TICK_MS) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = found;
  const words = [dev, ino, size, mtimeNs, ctimeNs].map(String);
  return Object.fromEntries(
    MEMBERS.map((member, at) => [member, words[at]]),
  ) as unknown as FileAtRest;
}

/** Whether nobody wrote to it since. */
export function isAtRest(path: string, before: FileAtRest): boolean {
  const now = fileAtRest(path);
  return now !== undefined && MEMBERS.every((member) => now[member] === before[member]);
}

/** Whether it is that file still, whatever was written to it. The device is not asked: after a reboot it may bear another number. */
export function isThatFile(path: string, before: FileAtRest): boolean {
  const now = statSync(path, { bigint: true, throwIfNoEntry: false });
  return now !== undefined && String(now.ino) === before.ino;
}

export function isFileAtRest(value: unknown): value is FileAtRest {
  if (typeof value !== "object" || value === null) return false;
  const found = value as Record<string, unknown>;
  return MEMBERS.every((member) => typeof found[member] === "string");
}
