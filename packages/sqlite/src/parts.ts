import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  type ManifestObject,
  type RecoveryPlan,
} from "@lifeboat/core";
import type { Composition, Layer } from "./compose.ts";
import { detailsOf } from "./details.ts";

/** What a database is put together from, and how large it and they are. */
export interface Parts extends Pick<Composition, "base" | "layers" | "pageCount"> {
  /** Of the objects' content. */
  readonly totalBytes: number;
  /** Of the file while it is built. */
  readonly fileBytes: number;
}

/** The parts of a plan: a whole file, and the changed pages of each incremental backup upon it. */
export function partsOf(folder: DatabaseFolder, { backups }: RecoveryPlan): Parts {
  const [full, ...incremental] = backups;
  const base = onlyObject(full, "database");
  const newest = incremental.at(-1) ?? full;
  const { pageCount, pageSize } = detailsOf(newest);
  const changes = incremental.map((manifest) => {
    if (detailsOf(manifest).pageSize !== pageSize) throw otherPageSize(manifest, full);
    return { manifest, object: onlyObject(manifest, "pages") };
  });
  const layers = changes.map(
    ({ manifest, object }): Layer => ({
      object: folder.objectPath(manifest, object),
      content: () => folder.readObject(manifest, object),
    }),
  );
  const sizes = [base, ...changes.map(({ object }) => object)].map(({ content }) => content.bytes);
  return {
    base: () => folder.readObject(full, base),
    layers: layers.reverse(),
    pageCount,
    totalBytes: sizes.reduce((sum, bytes) => sum + bytes),
    fileBytes: Math.max(base.content.bytes, pageCount * pageSize),
  };
}

function onlyObject(manifest: Manifest, role: "database" | "pages"): ManifestObject {
  const [object, ...others] = manifest.objects.filter((each) => each.role === role);
  if (object && others.length === 0) return object;
  const what = role === "database" ? "database files" : "objects of changed pages";
  throw new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id} names ${others.length + (object ? 1 : 0)} ${what} instead of one`,
    remedy: "this is no SQLite backup of Lifeboat: restore another one (lifeboat list)",
    details: { backup: manifest.id },
  });
}

function otherPageSize(manifest: Manifest, full: Manifest): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id} has pages of another size than ${full.id}, on which it builds`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id },
  });
}
