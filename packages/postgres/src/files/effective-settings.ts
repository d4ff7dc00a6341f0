import { readdir } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { parseSettings, type Setting } from "./setting-line.ts";
import { readSmallFile } from "./small-file.ts";

/** Files include files; the server gives up at this depth too (`CONF_FILE_MAX_DEPTH`). */
const MAX_DEPTH = 10;

/**
 * What the files of a data directory set, in the order in which the server reads them: of two
 * settings of one name the later holds. Included files are followed inside the data directory only,
 * where a restore has laid them all.
 */
export async function settingsIn(dataDirectory: string): Promise<Setting[]> {
  const main = await settingsOf(dataDirectory, "postgresql.conf", 0);
  return [...main, ...(await settingsOf(dataDirectory, "postgresql.auto.conf", 0))];
}

/** The value that holds in the end; undefined when no file sets it. */
export function effectiveValue(settings: readonly Setting[], name: string): string | undefined {
  return settings.findLast((setting) => setting.name === name)?.value;
}

/** A file that is missing or cannot be read sets nothing that we could know; the server says so itself when it starts. */
async function settingsOf(directory: string, file: string, depth: number): Promise<Setting[]> {
  const text = await readSmallFile(join(directory, file)).catch(() => "");
  const found: Setting[] = [];
  for (const setting of parseSettings(String(text)))
    if (!setting.name.startsWith("include")) found.push(setting);
    else if (depth < MAX_DEPTH && !isAbsolute(setting.value))
      for (const included of await filesOf(directory, dirname(file), setting))
        found.push(...(await settingsOf(directory, included, depth + 1)));
  return found;
}

async function filesOf(directory: string, folder: string, { name, value }: Setting) {
  const path = join(folder, value);
  if (path.startsWith("..")) return [];
  if (name !== "include_dir") return [path];
  const names = await readdir(join(directory, path)).catch((): string[] => []);
  const wanted = names.filter((entry) => entry.endsWith(".conf") && !entry.startsWith("."));
  return wanted.toSorted().map((entry) => join(path, entry));
}
