import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";

export function objectExists(description: string, path: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "OBJECT_EXISTS",
    kind: "refused",
    message: `${path} is in ${description} already`,
    remedy: "objects are never rewritten; find out who wrote it before you go on",
    details: { object: path },
    cause,
  });
}

export function objectMissing(description: string, path: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "OBJECT_MISSING",
    message: `${path} is missing from ${description}`,
    remedy:
      "bring it back from a copy of the repository, or choose another backup (lifeboat list); lifeboat verify finds all that is missing",
    details: { object: path },
    cause,
  });
}

/** Something lies under an object's name that is no regular file: a link, a folder, a pipe, a device. */
export function noObject(description: string, path: string, cause?: unknown): LifeboatError {
  const remedy = `find out who put it there, remove it, and ${ELSE}`;
  return unreadable(description, path, { why: "it is no regular file", remedy, cause });
}

export function objectUnreadable(description: string, path: string, cause: unknown): LifeboatError {
  const isDenied = isSystemError(cause, "EACCES") || isSystemError(cause, "EPERM");
  const remedy = isDenied
    ? "give this account the right to read it, or run as the one that writes the repository"
    : `look at the disk and its log (dmesg), ${ELSE}`;
  return unreadable(description, path, { why: reasonOf(cause), remedy, cause });
}

const ELSE =
  "bring the object back from a copy of the repository, or choose another backup (lifeboat list)";

function unreadable(
  description: string,
  path: string,
  { why, remedy, cause }: { why: string; remedy: string; cause: unknown },
): LifeboatError {
  return new LifeboatError({
    code: "OBJECT_UNREADABLE",
    message: `${path} in ${description} cannot be read: ${why}`,
    remedy,
    details: { object: path },
    cause,
  });
}

/** A path that came from outside (an archive, a command line) may try to leave the repository. */
export function assertObjectPath(path: string): void {
  const parts = path.split("/");
  const bad = parts.some(
    (part) => part === "" || part === "." || part === ".." || part.includes("\0"),
  );
  if (bad)
    throw new LifeboatError({
      code: "PATH_INVALID",
      message: `"${path}" is no object path`,
      remedy: "use parts separated by single slashes, none of them empty, . or ..",
    });
}
