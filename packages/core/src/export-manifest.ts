import { LifeboatError } from "./errors.ts";
import { isCount, isInstant, isObjectEntry, SAFE_NAME } from "./json-shape.ts";
import type { ManifestObject } from "./manifest.ts";

/** `20261122T101500.123Z-export`: sorts by time. */
export const EXPORT_ID = /^\d{8}T\d{6}\.\d{3}Z-export$/;

/** What a dump is of, and what made it: all that an import has to know before it begins. */
export interface DumpFacts {
  /** The database's name on the server. */
  readonly database: string;
  /** `server_version_num`: 150018. */
  readonly serverVersion: number;
  /** The version of the program that dumped it, as it prints it: older servers may not take the dump. */
  readonly dumpVersion: string;
  /** When the dump began and ended; it holds the state of an instant shortly after its begin. */
  readonly startedAt: string;
  readonly finishedAt: string;
}

/**
 * What an export is: a logical dump in the repository. Written last, as a backup's manifest is, and
 * sealed like it. `FORMAT.md` specifies it.
 */
export interface ExportManifest extends DumpFacts {
  readonly format: 1;
  readonly id: string;
  readonly app: string;
  readonly engine: "postgres";
  /** The cluster that it comes from, as in the path. */
  readonly system: string;
  readonly sourceBytes: number;
  readonly storedBytes: number;
  readonly tool: string;
  /** Tars of role `dump`, in order; `globals` where the role was allowed to read them. */
  readonly objects: readonly ManifestObject[];
}

/** An export as `export` and `list` show it. */
export interface ExportSummary extends DumpFacts {
  readonly id: string;
  readonly app: string;
  readonly sourceBytes: number;
  readonly storedBytes: number;
}

export function exportSummary(manifest: ExportManifest): ExportSummary {
  const { id, app, database, serverVersion, dumpVersion } = manifest;
  const { startedAt, finishedAt, sourceBytes, storedBytes } = manifest;
  return {
    ...{ id, app, database, serverVersion, dumpVersion },
    ...{ startedAt, finishedAt, sourceBytes, storedBytes },
  };
}

/**
 * Proves that a value read from a repository is the manifest of an export.
 * @throws LifeboatError `MANIFEST_CORRUPT`, `FORMAT_TOO_NEW`, naming the object
 */
export function assertExportShape(value: Record<string, unknown>, object: string): ExportManifest {
  assertDumpFacts(value, object);
  const is: Record<string, boolean> = {
    id: typeof value.id === "string" && EXPORT_ID.test(value.id),
    app: isName(value.app),
    engine: value.engine === "postgres",
    system: isName(value.system),
    sourceBytes: isCount(value.sourceBytes),
    storedBytes: isCount(value.storedBytes),
    tool: typeof value.tool === "string",
    objects: Array.isArray(value.objects) && value.objects.every(isObjectEntry),
  };
  for (const [member, right] of Object.entries(is)) if (!right) throw wrong(object, member);
  return value as unknown as ExportManifest;
}

/**
 * The same for what a dump in a file of its own says of itself.
 * @throws LifeboatError `MANIFEST_CORRUPT`, `FORMAT_TOO_NEW`, naming the object
 */
export function assertDumpFacts(value: Record<string, unknown>, object: string): DumpFacts {
  if (typeof value.format !== "number") throw wrong(object, "format");
  if (value.format !== 1)
    throw new LifeboatError({
      code: "FORMAT_TOO_NEW",
      message: `${object} has format ${value.format}; this version reads format 1`,
      remedy: "use a newer Lifeboat",
      details: { object, format: value.format },
    });
  const is: Record<string, boolean> = {
    database: typeof value.database === "string" && value.database !== "",
    serverVersion: isCount(value.serverVersion),
    dumpVersion: typeof value.dumpVersion === "string" && /^\d+/.test(value.dumpVersion),
    startedAt: isInstant(value.startedAt),
    finishedAt: isInstant(value.finishedAt),
  };
  for (const [member, right] of Object.entries(is)) if (!right) throw wrong(object, member);
  const { database, serverVersion, dumpVersion, startedAt, finishedAt } =
    value as unknown as DumpFacts;
  return { database, serverVersion, dumpVersion, startedAt, finishedAt };
}

function isName(value: unknown): boolean {
  return typeof value === "string" && SAFE_NAME.test(value);
}

function wrong(object: string, member: string): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${object}: "${member}" is missing or of the wrong kind`,
    remedy: "this is no export of Lifeboat: name another one (lifeboat list)",
    details: { object, member },
  });
}
