import { LifeboatError, type Manifest } from "@lifeboat/core";
import { isPageCount, isPageSize, LARGEST_ID } from "./bounds.ts";
import { isLineage } from "./log/name.ts";
import type { Owner } from "./owner.ts";
import { isLogPlace, type LogPlace } from "./wal/place.ts";

/**
 * How the file was held still while it was read: `pin`, a reader on read lock 0 of the WAL;
 * `backup-api`, SQLite's online backup inside a read transaction; `shared-lock`, a read transaction
 * on a rollback-journal database.
 */
export type Way = "pin" | "backup-api" | "shared-lock";

/** What a SQLite backup's manifest says in `details`. */
export interface SnapshotDetails {
  /** The database's own file name, under which it is restored. */
  readonly fileName: string;
  /** Permission bits, octal: `0640`. */
  readonly mode: string;
  readonly owner: Owner;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly journalMode: "wal" | "rollback";
  readonly applicationId: number;
  readonly userVersion: number;
  /** The SQLite that read it. */
  readonly sqliteVersion: string;
  readonly way: Way;
  /** How long writers were kept out: at the gate, or by the shared lock. */
  readonly heldMilliseconds: number;
  readonly copySeconds: number;
  /** Size of the `-wal` file when the database was let go. */
  readonly walBytes: number;
  /** Where it lies in the log, when that was being shipped; null otherwise. Older backups have no such member. */
  readonly log?: LogMember | null;
}

/** Where a backup lies in the log. */
export interface LogMember {
  readonly lineage: string;
  readonly place: LogPlace;
  /** The number of the lineage's last segment that was stored then; 0 where there was none. Older backups have no such member. */
  readonly segments?: number;
  /** Of a lineage of which nothing was stored yet: the newest other one, as it was then. */
  readonly previous?: { readonly lineage: string; readonly segments: number };
}

type Shape = "string" | "count" | "integer" | "number";
const SHAPES: Readonly<Record<Exclude<keyof SnapshotDetails, "owner" | "log">, Shape>> = {
  fileName: "string",
  mode: "string",
  pageSize: "count",
  pageCount: "count",
  journalMode: "string",
  applicationId: "integer",
  userVersion: "integer",
  sqliteVersion: "string",
  way: "string",
  heldMilliseconds: "number",
  copySeconds: "number",
  walBytes: "count",
};

/**
 * The details of a SQLite backup's manifest, each member checked: an archive may be hostile, and the
 * file name becomes a path.
 * @throws LifeboatError `MANIFEST_CORRUPT` naming the backup and the member
 */
export function detailsOf(manifest: Manifest): SnapshotDetails {
  const { details } = manifest;
  for (const [member, shape] of Object.entries(SHAPES))
    if (!hasShape(details[member], shape)) throw corrupt(manifest, member);
  const found = details as unknown as SnapshotDetails;
  if (!isPageSize(found.pageSize)) throw corrupt(manifest, "pageSize");
  if (!isPageCount(found.pageCount)) throw corrupt(manifest, "pageCount");
  if (!isFileName(found.fileName)) throw corrupt(manifest, "fileName");
  if (!/^0[0-7]{3}$/.test(found.mode)) throw corrupt(manifest, "mode");
  if (!isOwner(details.owner)) throw corrupt(manifest, "owner");
  if (!isLogMember(details.log)) throw corrupt(manifest, "log");
  return found;
}

/** Whether a text is one part of a path and stays in its folder. */
function isFileName(text: string): boolean {
  const inside = text !== "" && text !== "." && text !== ".." && !/[/\\\0]/.test(text);
  // The driver takes blanks off the end, and would open another file.
  return inside && text === text.trimEnd() && Buffer.byteLength(text) <= 255;
}

function isOwner(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { uid, gid, user, group } = value as Record<string, unknown>;
  // They are part of a command that we propose.
  const named = (name: unknown) =>
    name === null || (typeof name === "string" && /^[\w.@\\-]{1,256}\$?$/.test(name));
  return isId(uid) && isId(gid) && named(user) && named(group);
}

function isId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LARGEST_ID;
}

function isLogMember(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  const { lineage, place, segments = 0, previous } = value as Record<string, unknown>;
  const isLog = typeof lineage === "string" && isLineage(lineage) && isLogPlace(place);
  return isLog && hasShape(segments, "count") && (previous === undefined || isExtent(previous));
}

function isExtent(value: unknown): boolean {
  const { lineage, segments } = (value ?? {}) as Record<string, unknown>;
  return typeof lineage === "string" && isLineage(lineage) && hasShape(segments, "count");
}

function hasShape(value: unknown, shape: Shape): boolean {
  if (shape === "string") return typeof value === "string";
  if (shape === "number") return typeof value === "number" && value >= 0;
  return Number.isSafeInteger(value) && (shape === "integer" || (value as number) >= 0);
}

function corrupt(manifest: Manifest, member: string): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id}: "details.${member}" is missing or of the wrong kind`,
    remedy: "this is no SQLite backup of Lifeboat: restore another one (lifeboat list)",
    details: { backup: manifest.id, member },
  });
}
