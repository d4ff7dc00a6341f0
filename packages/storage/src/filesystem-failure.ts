import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import { noObject, objectUnreadable } from "./errors.ts";

const KNOWN: Record<string, { code: string; remedy: string }> = {
  ENOSPC: { code: "STORAGE_FULL", remedy: "free space there, or name a repository with more room" },
  EDQUOT: { code: "STORAGE_FULL", remedy: "the quota is used up: raise it or free space" },
  EFBIG: { code: "STORAGE_FULL", remedy: "raise the limit on file size (ulimit -f)" },
  EROFS: { code: "STORAGE_DENIED", remedy: "mount it writable" },
  EACCES: {
    code: "STORAGE_DENIED",
    remedy: "give this account the right to it, or run as its owner",
  },
  EPERM: {
    code: "STORAGE_DENIED",
    remedy:
      "look for the attributes i and a with lsattr -d, which keep even root from it (chattr -i and -a take them away), or give this account the right to it; a file system without hard links cannot hold a repository",
  },
  ENOENT: {
    code: "STORAGE_UNREACHABLE",
    remedy: "check the path in the configuration, and that it is mounted",
  },
  ENOTDIR: { code: "STORAGE_UNREACHABLE", remedy: "name a directory, not a file" },
};

/** A system error said in our words. Passes on what is no system error. */
export function filesystemFailure(cause: unknown, doing: string, description: string): unknown {
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  if (cause instanceof LifeboatError || typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code))
    return cause;
  const known = KNOWN[code] ?? {
    code: "STORAGE_UNREACHABLE",
    remedy: "check the disk and its log (dmesg), then run again",
  };
  return new LifeboatError({
    code: known.code,
    message: `cannot ${doing} ${description}: ${reasonOf(cause)}`,
    remedy: known.remedy,
    details: { errno: code },
    cause,
  });
}

/** What befalls one object while the others may be well: a bad sector, a lost right, a link in its place. */
const OF_THE_OBJECT = ["EIO", "EACCES", "EPERM", "EUCLEAN", "EBADMSG"];
/** A folder, a link, a socket: its own open says so. */
const NO_OBJECT = ["EISDIR", "ELOOP", "ENXIO"];

/** The failure to open or read an object whose folder was reached. */
export function objectFailure(cause: unknown, path: string, description: string): unknown {
  const isOneOf = (codes: readonly string[]) => codes.some((code) => isSystemError(cause, code));
  if (isOneOf(NO_OBJECT)) return noObject(description, path, cause);
  return isOneOf(OF_THE_OBJECT)
    ? objectUnreadable(description, path, cause)
    : filesystemFailure(cause, `read ${path} from`, description);
}
