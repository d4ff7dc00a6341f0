import { archivePath, unsafe } from "./archive-path.ts";

/** What entries an archive may have. */
export interface EntryRules {
  /** Paths whose content is not wanted. */
  readonly passOver?: ReadonlySet<string>;
  /** Paths of symbolic links that an archive may name; they are not made from it. */
  readonly links?: ReadonlySet<string>;
  /** What each path has to match; any will do when left out. */
  readonly only?: RegExp;
}

/**
 * Where an entry goes, and as what: regular files and directories, nothing outside.
 * @param type as tar-stream names it
 * @throws LifeboatError `ARCHIVE_UNSAFE`
 */
export function placeOfEntry(
  { name, type }: { readonly name: string; readonly type?: string | null | undefined },
  object: string,
  { links, only }: EntryRules,
): { readonly path: string; readonly kind: "file" | "directory" | "link" } {
  const path = archivePath(name, object);
  if (path !== "" && only && !only.test(path)) throw unsafe(object, name, "does not belong there");
  if (type === "directory") return { path, kind: "directory" };
  if (type === "file") {
    if (path === "") throw unsafe(object, name, "has no name");
    return { path, kind: "file" };
  }
  if (type === "symlink" && links?.has(path)) return { path, kind: "link" };
  throw unsafe(object, name, `is a ${type ?? "thing of unknown type"}`);
}
