import { basename, dirname, join, relative, resolve } from "node:path";
import type { PostgresDetails, SettingsDetail } from "../details.ts";

/** Where the settings files of the original lie in a copy. */
export class SettingsLayout {
  /** Original path → path below the copy's data directory, for each file that the backup holds. */
  readonly files: ReadonlyMap<string, string>;
  /** Where the original's data directory lay: what lay below it lies below the copy's. */
  readonly #original: string | null;
  /** The folder of the original's postgresql.conf, when that lay outside the data directory. */
  readonly #home: string | null;
  /** Of files that lay elsewhere: their folder → its place in the copy. */
  readonly #folders = new Map<string, string>();

  /** @param taken the names that the copy's data directory holds already */
  constructor(
    details: Pick<PostgresDetails, "settings" | "dataDirectory">,
    taken: readonly string[],
  ) {
    const config = details.settings.find(({ setting }) => setting === "config_file");
    this.#original = details.dataDirectory;
    this.#home = config ? dirname(config.path) : null;
    const files = new Map<string, string>();
    for (const detail of details.settings)
      files.set(resolve(detail.path), this.#placeFor(detail, taken, new Set(files.values())));
    this.files = files;
  }

  /** Where a file or folder of the original lies in the copy; undefined when it is not there. */
  find(path: string): string | undefined {
    const file = this.files.get(resolve(path));
    if (file !== undefined) return file;
    const below = this.#original === null ? undefined : pathBelow(this.#original, path);
    return below ?? this.#folderOf(path);
  }

  /** A folder of includes goes where its files go; an empty one keeps its place beside the settings. */
  #folderOf(path: string): string | undefined {
    for (const [original, place] of this.files)
      if (dirname(original) === resolve(path)) return dirname(place);
    return this.#home === null ? undefined : pathBelow(this.#home, path);
  }

  /** To each folder its own: whoever includes one of them whole would else take in the files of others, after or before its own. */
  #folderFor(original: string, taken: readonly string[]): string {
    const known = this.#folders.get(original);
    if (known !== undefined) return known;
    const others = new Set([...taken, ...this.#folders.values()]);
    let folder = "included";
    for (let count = 2; others.has(folder); count++) folder = `included-${count}`;
    this.#folders.set(original, folder);
    return folder;
  }

  #placeFor(
    { setting, path }: SettingsDetail,
    taken: readonly string[],
    used: ReadonlySet<string>,
  ): string {
    if (setting === "config_file") return "postgresql.conf";
    if (setting === "hba_file") return "pg_hba.conf";
    if (setting === "ident_file") return "pg_ident.conf";
    const beside = this.#home === null ? undefined : pathBelow(this.#home, path);
    // Beside the settings as before (`conf.d/x.conf`), unless the cluster's own files are there.
    const free = beside !== undefined && !taken.includes(beside.split("/")[0] ?? "");
    let place = free
      ? beside
      : join(this.#folderFor(dirname(resolve(path)), taken), basename(path));
    while (used.has(place)) place = join(dirname(place), `again-${basename(place)}`);
    return place;
  }
}

function pathBelow(folder: string, path: string): string | undefined {
  const way = relative(resolve(folder), resolve(path));
  return way === "" || way === ".." || way.startsWith("../") ? undefined : way;
}
