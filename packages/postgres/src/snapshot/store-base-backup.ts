import type { Finding, Reused, SnapshotRequest } from "@lifeboat/core";
import { TAR_END, tarHeader, tarPadding } from "../basebackup/parallel/tar-header.ts";
import type { BaseBackup, TablespaceArchive, Transport } from "../basebackup/transport.ts";
import type { PostgresDetails } from "../details.ts";
import type { PackedBytes } from "../packed/bytes.ts";
import type { BackupRate } from "../rate/backup-rate.ts";
import type { BackupSource } from "./backup-source.ts";
import { jobsOf } from "./choices.ts";
import { partFacts, partNote, partNumber } from "./stored-parts.ts";
import { type ArchiveLines, storeRanges } from "./stored-ranges.ts";
import { TakenOverParts } from "./taken-over-parts.ts";
import { TarRanges } from "./tar-ranges.ts";

/** What a base backup is taken from and with. */
export interface BaseBackupWork {
  readonly source: BackupSource;
  readonly transport: Transport;
  readonly request: SnapshotRequest;
  /** Of the backup that an incremental one builds on. */
  readonly parentManifest: PackedBytes | null;
  readonly rate: BackupRate;
}

export interface StoredBaseBackup {
  readonly backup: BaseBackup;
  readonly tablespaces: PostgresDetails["tablespaces"];
  /** Of what an interrupted backup had stored. */
  readonly reused: Reused;
  readonly findings: readonly Finding[];
}

/** Takes a base backup and stores its archives, its manifest and its ranges. */
export async function storeBaseBackup(
  work: BaseBackupWork,
  signal: AbortSignal,
): Promise<StoredBaseBackup> {
  const { transport, request, parentManifest, rate } = work;
  const { connection, server } = work.source;
  const stored = new StoredTablespaces();
  const archives = new Map<string, ArchiveLines>();
  const facts = partFacts(server, request.folder);
  const archive = async ({ tablespace, part, content, fileDigests }: TablespaceArchive) => {
    const suffix = part === null ? "" : `.${String(part).padStart(4, "0")}`;
    const name = `${tablespace?.oid ?? "base"}${suffix}.tar`;
    const role = tablespace ? "tablespace" : "base";
    const noted = new TarRanges();
    const { ranges } = noted;
    const watched = noted.watching(rate.through(content, signal));
    const note = fileDigests && (() => partNote(facts, noted.lines(`${name}.zst`), fileDigests()));
    const { object } = await request.store(name, role, watched, { ranges, ...(note && { note }) });
    archives.set(object, noted);
    if (tablespace) stored.add(tablespace, { object, isPart: part !== null });
  };
  const parts = new TakenOverParts({
    server,
    facts,
    onKept: ({ object, lines, tablespace }) => {
      archives.set(object, { lines: () => lines });
      if (tablespace) stored.add(tablespace, { object, isPart: true });
    },
  });
  const label = request.options.label ?? `lifeboat ${request.id}`;
  const { maxRate: asked } = request.options;
  // Where the server itself can keep the rate, it reads no more than that; else it waits for us.
  const maxRate = typeof asked === "number" && transport.name !== "parallel" ? asked : null;
  const { report, leftovers } = request;
  const backup = await transport.takeBaseBackup({
    ...{ connection, server, label, maxRate, parentManifest, archive, report, signal },
    jobs: jobsOf(request),
    interrupted:
      leftovers.length === 0
        ? undefined
        : {
            parts: await parts.offered(leftovers),
            highestPart: Math.max(...leftovers.map(({ object }) => partNumber(object))),
            reading: (content) => rate.through(content, signal),
          },
  });
  const { manifest } = backup;
  // By itself as well: the next incremental backup builds on it, and base.tar may be large.
  if (backup.manifestInArchive)
    await request.store("backup_manifest", "backup-manifest", inPieces(manifest));
  else await request.store("backup_manifest.tar", "backup-manifest", manifestTar(manifest));
  // An incremental one is put together with those before it: no directory is ever compared with it alone.
  if (!parentManifest) await storeRanges(request.store, archives);
  const { reused, findings } = parts;
  return { backup, tablespaces: stored.details(), reused, findings };
}

/** Which objects each tablespace is in. */
class StoredTablespaces {
  readonly #objects = new Map<number, { location: string; object: string; parts: string[] }>();

  add(
    { oid, location }: NonNullable<TablespaceArchive["tablespace"]>,
    { object, isPart }: { object: string; isPart: boolean },
  ): void {
    const entry = this.#objects.get(oid) ?? { location, object: "", parts: [] };
    if (isPart) entry.parts.push(object);
    else entry.object = object;
    this.#objects.set(oid, entry);
  }

  details(): PostgresDetails["tablespaces"] {
    return [...this.#objects].map(([oid, { location, object, parts }]) => ({
      ...{ oid, location, object },
      ...(parts.length > 0 ? { parts: parts.toSorted() } : {}),
    }));
  }
}

async function* inPieces(content: PackedBytes): AsyncGenerator<Uint8Array> {
  yield* content.passing();
}

/** A tar, so that unpacking every `*.tar.zst` of a backup gives a whole data directory. */
async function* manifestTar(manifest: PackedBytes): AsyncGenerator<Uint8Array> {
  const { bytes } = manifest;
  const own = { path: "backup_manifest", mode: 0o600, modified: new Date(), kind: "file" } as const;
  yield tarHeader({ ...own, bytes });
  yield* manifest.passing();
  yield tarPadding(bytes);
  yield TAR_END;
}
