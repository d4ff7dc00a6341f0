import { LifeboatError, type Manifest, type Reused, SAFE_NAME } from "@lifeboat/core";
import { parseLsn } from "./wal/lsn.ts";

/** Which way the base backup came off the server. */
export type TransportName = "pg_basebackup" | "wire" | "parallel";

const TRANSPORTS: ReadonlySet<TransportName> = new Set(["pg_basebackup", "wire", "parallel"]);

/** Where the WAL that makes the backup consistent came from. */
export type WalSource = "stream" | "archive";

export interface TablespaceDetail {
  readonly oid: number;
  /** The folder it lay in on the server. Absolute, or `pg_tblspc/<oid>` for one that was made in place: that is restored to a place that is named. */
  readonly location: string;
  /** Its object in the backup: `16385.tar.zst`. */
  readonly object: string;
  /** Its further objects, where it was taken in parts: `16385.0001.tar.zst`. */
  readonly parts?: readonly string[];
}

/** A settings file that lay outside the data directory, stored verbatim. */
export interface SettingsDetail {
  readonly setting: "config_file" | "hba_file" | "ident_file" | "include";
  /** Where it lay on the server. Absolute. */
  readonly path: string;
  /** Its object in the backup: `settings/postgresql.conf.zst`. */
  readonly object: string;
}

/** What a Postgres backup's manifest keeps in `details`. */
export interface PostgresDetails {
  /** Decimal text: it does not fit into a number. */
  readonly systemIdentifier: string;
  /** `server_version_num`: 150018. */
  readonly serverVersion: number;
  readonly timeline: number;
  /** Where replay must begin, as `0/2000028`. */
  readonly startLsn: string;
  /** Up to where replay must come before the copy is consistent. */
  readonly stopLsn: string;
  readonly walSegmentBytes: number;
  readonly transport: TransportName;
  readonly wal: WalSource;
  /** Whether the cluster keeps page checksums. */
  readonly checksums: boolean;
  /** Where the data directory lay; null when the server would not say. */
  readonly dataDirectory: string | null;
  readonly tablespaces: readonly TablespaceDetail[];
  readonly settings: readonly SettingsDetail[];
  /** The account that owns the data directory, when it is known. */
  readonly owner: string | null;
  /** The database that was connected to: the product's, among those of the cluster. */
  readonly database: string | null;
  /** When the run of the primary began in which it was taken, to the microsecond; earlier backups do not tell. */
  readonly serverStartedAt?: string;
  /** Pages that were damaged in the cluster and are so in the backup, in words; left out where there are none. */
  readonly damage?: readonly string[];
  /** What an interrupted backup had stored and is part of this one; left out where nothing was. */
  readonly reused?: Reused;
}

/**
 * Reads the details back from a manifest. Archives may be hostile, so every member is checked here,
 * once, before any of them becomes a path or a setting.
 * @throws LifeboatError `MANIFEST_CORRUPT` naming the manifest and the member
 */
export function postgresDetails(manifest: Manifest): PostgresDetails {
  const found = manifest.details;
  const fail = (member: string): never => {
    throw corruptDetails(manifest, member);
  };
  const need = (member: keyof PostgresDetails, holds: (value: unknown) => boolean) => {
    if (!holds(found[member])) fail(member);
  };
  need("systemIdentifier", (value) => isText(value) && /^\d{1,20}$/.test(value));
  need("serverVersion", (value) => isWhole(value, 100_000, 10_000_000));
  need("timeline", (value) => isWhole(value, 1, 0xffff_ffff));
  need("startLsn", isLsn);
  need("stopLsn", isLsn);
  need("walSegmentBytes", isSegmentSize);
  need("transport", (value) => TRANSPORTS.has(value as TransportName));
  need("wal", (value) => value === "stream" || value === "archive");
  need("checksums", (value) => typeof value === "boolean");
  need("dataDirectory", (value) => value === null || isAbsolutePath(value));
  need("tablespaces", (value) => Array.isArray(value) && value.every(isTablespace));
  need("settings", (value) => Array.isArray(value) && value.every(isSettings));
  need("owner", (value) => value === null || isAccountName(value));
  need("damage", (value) => value === undefined || (Array.isArray(value) && value.every(isText)));
  need("serverStartedAt", (value) => value === undefined || isText(value));
  need("database", (value) => value === null || isText(value));
  return found as unknown as PostgresDetails;
}

function isTablespace(value: unknown): boolean {
  if (!isRecord(value) || !isWhole(value.oid, 1, 0xffff_ffff)) return false;
  const { parts = [] } = value;
  return (
    (isAbsolutePath(value.location) || value.location === `pg_tblspc/${value.oid}`) &&
    Array.isArray(parts) &&
    [value.object, ...parts].every((name) => isText(name) && SAFE_NAME.test(name))
  );
}

function isSettings(value: unknown): boolean {
  if (!isRecord(value) || !isAbsolutePath(value.path) || !isText(value.object)) return false;
  const [folder, name, ...rest] = value.object.split("/");
  return (
    ["config_file", "hba_file", "ident_file", "include"].includes(value.setting as string) &&
    folder === "settings" &&
    name !== undefined &&
    SAFE_NAME.test(name) &&
    rest.length === 0
  );
}

/** It becomes an argument of `id`. Numbers are accounts that had no name. */
function isAccountName(value: unknown): boolean {
  return isText(value) && /^[A-Za-z0-9_][\w.@\\-]{0,255}\$?$/.test(value);
}

function isAbsolutePath(value: unknown): boolean {
  return isText(value) && value.startsWith("/") && !value.includes("\0");
}

function isLsn(value: unknown): boolean {
  return isText(value) && parseLsn(value) !== undefined;
}

/** initdb allows powers of two from 1 MiB to 1 GiB. */
function isSegmentSize(value: unknown): boolean {
  return isWhole(value, 1 << 20, 1 << 30) && Number.isInteger(Math.log2(value as number));
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function corruptDetails(manifest: Manifest, member: string): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `the manifest of ${manifest.id}: "details.${member}" is missing or of the wrong kind`,
    remedy: "this is no Postgres backup of Lifeboat: restore another one (lifeboat list)",
    details: { backup: manifest.id, member: `details.${member}` },
  });
}
