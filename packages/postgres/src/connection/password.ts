import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Place } from "./failure.ts";

/**
 * Looks the password up as libpq does (the manual, "The Password File"): the first line of
 * `~/.pgpass`, or of the file that PGPASSFILE names, whose first four fields match. `pg` has this
 * too, but warns on each use that it will go; and libpq asks for the database `replication` on a
 * replication connection, which `pg` does not know.
 * @returns undefined when there is no such file or line, or others may read the file
 */
export async function storedPassword(
  place: Place,
  replication: boolean,
): Promise<string | undefined> {
  const lines = await passwordLines(process.env.PGPASSFILE ?? join(homedir(), ".pgpass"));
  const host = place.host.startsWith("/") ? "localhost" : place.host;
  const databases = replication ? ["replication", place.database] : [place.database];
  for (const line of lines) {
    const fields = fieldsOf(line);
    const [lineHost, port, database, user, password] = fields;
    if (fields.length < 5 || password === undefined) continue;
    const matches =
      [host, place.host, "*"].includes(lineHost ?? "") &&
      [String(place.port), "*"].includes(port ?? "") &&
      [...databases, "*"].includes(database ?? "") &&
      [place.user, "*"].includes(user ?? "");
    if (matches) return password;
  }
  return undefined;
}

async function passwordLines(path: string): Promise<string[]> {
  try {
    // libpq ignores a password file that others may read; so do we.
    if (((await stat(path)).mode & 0o077) !== 0) return [];
    return (await readFile(path, "utf8")).split(/\r?\n/).filter((line) => !line.startsWith("#"));
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT") || isSystemError(thrown, "EACCES")) return [];
    throw thrown;
  }
}

/** Fields between colons; a backslash takes the next character as it is. */
function fieldsOf(line: string): string[] {
  const fields = [""];
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    if (character === ":" && fields.length < 5) fields.push("");
    else fields[fields.length - 1] += character === "\\" ? (line[++at] ?? "") : character;
  }
  return fields;
}
