import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, relative } from "node:path";

/** Everything below a directory: files by their content, links by what they lead to, and every mode and owner. */
export async function contentOf(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const look = async (place: string) => {
    const { mode, uid } = await lstat(place);
    const entries = await readdir(place, { withFileTypes: true });
    found.set(`${relative(directory, place)}/`, `${(mode & 0o7777).toString(8)} ${uid}`);
    for (const entry of entries) {
      const path = join(place, entry.name);
      const name = relative(directory, path);
      if (entry.isSymbolicLink()) found.set(name, `→ ${await readlink(path)}`);
      else if (entry.isDirectory()) await look(path);
      else {
        const own = await lstat(path);
        const sha256 = createHash("sha256")
          .update(await readFile(path))
          .digest("hex");
        found.set(name, `${(own.mode & 0o7777).toString(8)} ${own.uid} ${own.size} ${sha256}`);
      }
    }
  };
  await look(directory);
  return found;
}
