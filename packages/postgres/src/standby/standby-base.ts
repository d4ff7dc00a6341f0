import { join } from "node:path";
import { LifeboatError, type Report } from "@lifeboat/core";
import { isFaultOfTarget, targetFailure } from "../archive/target-failure.ts";
import type { BaseBackup, TablespaceArchive } from "../basebackup/transport.ts";
import { wireTransport } from "../basebackup/wire.ts";
import type { ServerConnection } from "../connection/connection.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import type { Account } from "../files/account.ts";
import { writeDurably } from "../files/durable.ts";
import type { RestorePlaces } from "../places/restore-places.ts";
import type { Sites } from "../places/restore-sites.ts";
import { linkTablespaces, tablespaceLink } from "../places/tablespace-links.ts";
import { versionFolder } from "../places/version-folder.ts";
import { Unpacker } from "../unpack/unpack.ts";

/** Of the primary as it runs, or as it once recovered: a standby must not start with them. */
const STALE = new Set(["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal"]);

export interface StandbyBase {
  readonly connection: ServerConnection;
  readonly server: ServerFacts;
  readonly places: RestorePlaces;
  readonly sites: Sites;
  readonly account: Account;
  readonly maxRate: number | null;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * A base backup straight from the primary's wire to where the standby is built. Its WAL comes later, through
 * the slot.
 * @returns the backup, and the mode of its files
 */
export async function unpackFromPrimary(
  base: StandbyBase,
): Promise<{ backup: BaseBackup; mode: number }> {
  const { sites, account, places } = base;
  const directory = sites.data.path;
  const links = new Set(places.tablespaces.map(({ tablespace }) => tablespaceLink(tablespace.oid)));
  const data = new Unpacker({ into: directory, account, passOver: STALE, links });
  const backup = await wireTransport.takeBaseBackup({
    ...base,
    label: "lifeboat standby",
    parentManifest: null,
    jobs: 1,
    archive: (archive) =>
      unpackOne(base, data, archive).catch((cause: unknown) => {
        throw isDisks(cause) ? targetFailure(places.dataDirectory, cause) : cause;
      }),
  });
  assertSound(backup);
  await data.finish();
  const mode = data.groupReads ? 0o640 : 0o600;
  if (!backup.manifestInArchive) {
    const path = join(directory, "backup_manifest");
    await writeDurably(path, backup.manifest.pieces(), { account, mode });
  }
  await linkTablespaces(directory, places.tablespaces, { account, mode });
  return { backup, mode };
}

/** What the primary's connection never fails by: its own faults come through the same pipe. */
const OF_DISK: ReadonlySet<string> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  "EROFS",
  "EIO",
  "EPERM",
]);

function isDisks(cause: unknown): cause is NodeJS.ErrnoException {
  return isFaultOfTarget(cause) && OF_DISK.has(cause.code ?? "");
}

/** A backup may be kept although pages of its cluster are damaged; a standby is to be failed over to. */
function assertSound({ corruptPages: [page, ...more] }: BaseBackup): void {
  if (!page) return;
  throw new LifeboatError({
    code: "PAGE_CORRUPT",
    message: `the primary has corrupt pages: ${page.path}, block ${page.block}${more.length > 0 ? ` and ${more.length} more` : ""}`,
    remedy: "mend the primary first: a standby of it would have the same damage",
    details: { pages: [page, ...more] },
  });
}

async function unpackOne(
  { sites, account, server }: StandbyBase,
  data: Unpacker,
  { tablespace, content }: TablespaceArchive,
): Promise<void> {
  if (!tablespace) return data.add(ownedChunks(content), "the primary's base backup");
  const site = sites.tablespaces.find((each) => each.tablespace.oid === tablespace.oid)?.site;
  if (!site) throw new Error(`tablespace ${tablespace.oid} was made while the backup began`);
  const only = versionFolder(server.major);
  const unpacker = new Unpacker({ into: site.path, account, only });
  await unpacker.add(ownedChunks(content), `the primary's tablespace ${tablespace.location}`);
  await unpacker.finish();
}

/** The unpacker keeps chunks until their files are written, and the transport's are good until the next one. */
async function* ownedChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield new Uint8Array(chunk);
}
