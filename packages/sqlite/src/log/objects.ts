import {
  type DatabaseFolder,
  isObjectDamage,
  LifeboatError,
  type StoredObject,
} from "@lifeboat/core";
import { type LogName, parseLogName } from "./name.ts";
import { checkedNote, type SegmentNote } from "./note.ts";

/** An object of the log, as the listing gives it. */
export interface LogObject extends LogName {
  readonly name: string;
  readonly stored: StoredObject;
}

/** The objects of each lineage, by the number that they begin with. What has no name of ours is left out. */
export type Lineages = ReadonlyMap<string, readonly LogObject[]>;

/** Lists the log: all of it, or what lies below `prefix`. */
export async function lineagesOf(folder: DatabaseFolder, prefix = ""): Promise<Lineages> {
  const lineages = new Map<string, LogObject[]>();
  for await (const { name, stored } of folder.listLog(prefix)) {
    const parsed = parseLogName(name);
    if (!parsed) continue;
    const objects = lineages.get(parsed.lineage) ?? [];
    objects.push({ ...parsed, name, stored });
    lineages.set(parsed.lineage, objects);
  }
  for (const objects of lineages.values())
    objects.sort((a, b) => a.first - b.first || a.last - b.last);
  return lineages;
}

const REMEDY =
  "bring this object back from a copy of the repository, or restore what does not need it: an instant before it, or a backup (--at, --backup; lifeboat list); lifeboat verify finds all that is damaged";

/** @throws LifeboatError `LOG_OBJECT_INVALID`, `MANIFEST_CORRUPT`, `OBJECT_MISSING` */
export async function noteOf(folder: DatabaseFolder, object: LogObject): Promise<SegmentNote> {
  const path = folder.logPath(object.name);
  try {
    return checkedNote(await folder.readLogNote(object.name, object.stored), object.name, path);
  } catch (thrown) {
    if (!isObjectDamage(thrown, "MANIFEST_CORRUPT", "LOG_OBJECT_INVALID")) throw thrown;
    const { code, kind, message, details } = thrown;
    throw new LifeboatError({ code, kind, message, remedy: REMEDY, details, cause: thrown });
  }
}
