import { join } from "node:path";
import { readSmallFile } from "./small-file.ts";

/** `pg_authid`'s object id, the same in every cluster. */
const PG_AUTHID = 1260;

/** Sizes of C structures: the relation map's head, a page's head, a line pointer, a name. */
const MAP_HEAD = 8;
const PAGE_HEAD = 24;
const LINE_POINTER = 4;
const NAME_BYTES = 64;

/**
 * The names of roles that are superusers and may log in, read from the files of a data directory.
 * A server lets nobody in whose name it does not know, and a restored cluster's superuser need not
 * be called `postgres`. Old versions of rows are read as well, so a name may no longer hold: try
 * them in turn.
 */
export async function superuserNames(dataDirectory: string): Promise<string[]> {
  const global = join(dataDirectory, "global");
  const map = await readSmallFile(join(global, "pg_filenode.map"));
  const file = await readSmallFile(join(global, String(fileOf(map, PG_AUTHID))));
  const names = new Set<string>();
  // The page's size is in the upper byte of its head's last member but one.
  const pageBytes = file.length > PAGE_HEAD ? file.readUInt16LE(18) & 0xff00 : 0;
  if (pageBytes > 0)
    for (let at = 0; at + pageBytes <= file.length; at += pageBytes)
      for (const name of namesIn(file.subarray(at, at + pageBytes))) names.add(name);
  return [...names];
}

/** System catalogs that cannot look themselves up are found through this map (`relmapper.c`). */
function fileOf(map: Buffer, relation: number): number {
  const entries = map.length < MAP_HEAD ? 0 : map.readInt32LE(4);
  const end = Math.min(map.length - 7, MAP_HEAD + entries * 8);
  for (let at = MAP_HEAD; at < end; at += 8)
    if (map.readUInt32LE(at) === relation) return map.readUInt32LE(at + 4);
  return relation;
}

function* namesIn(page: Buffer): Generator<string> {
  const lower = Math.min(page.readUInt16LE(12), page.length);
  for (let at = PAGE_HEAD; at + LINE_POINTER <= lower; at += LINE_POINTER) {
    const pointer = page.readUInt32LE(at);
    const offset = pointer & 0x7fff;
    const isNormal = ((pointer >>> 15) & 0x3) === 1 && offset + 22 < page.length;
    const row = offset + (isNormal ? page.readUInt8(offset + 22) : 0);
    if (!isNormal || row + 4 + NAME_BYTES + 5 > page.length) continue;
    // oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin
    const flags = page.subarray(row + 4 + NAME_BYTES);
    const name = page.toString("utf8", row + 4, row + 4 + NAME_BYTES).replace(/\0.*$/s, "");
    if (flags[0] === 1 && flags[4] === 1) yield name;
  }
}
