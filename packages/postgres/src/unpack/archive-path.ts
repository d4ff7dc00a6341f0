import { LifeboatError } from "@lifeboat/core";

/**
 * The path of an archive's entry below the directory it is unpacked into, without `./` in front and
 * `/` behind; `""` is that directory itself.
 * @throws LifeboatError `ARCHIVE_UNSAFE` when it leads anywhere else
 */
export function archivePath(name: string, object: string): string {
  const path = name.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  const parts = path.split("/");
  if (name.startsWith("/")) throw unsafe(object, name, "is an absolute path");
  if (name.includes("\0")) throw unsafe(object, name, "holds a NUL byte");
  if (path === "" || path === ".") return "";
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    throw unsafe(object, name, "would leave the directory it is unpacked into");
  return path;
}

/** An archive with an entry that no server writes. Nothing of it has reached its place. */
export function unsafe(object: string, name: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "ARCHIVE_UNSAFE",
    message: `${object}: entry ${JSON.stringify(name)} ${why}`,
    remedy:
      "no server writes such an archive: find out who can write to the repository, and restore another backup (lifeboat list)",
    details: { object, entry: name },
  });
}
