import { readlink, realpath } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { LifeboatError, type RestoreRequest } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { isFaultOfTarget, targetFailure } from "../archive/target-failure.ts";
import type { TablespaceDetail } from "../details.ts";
import { runningServer } from "../server/running-server.ts";
import { serverLines } from "../server/server-line.ts";
import { clearLeftovers, entriesOf } from "./leftovers.ts";
import { isInTheWay, versionFolder } from "./version-folder.ts";

/** Where the parts of a cluster go, all of them proved to be free. */
export interface RestorePlaces {
  readonly dataDirectory: string;
  readonly tablespaces: readonly {
    readonly tablespace: TablespaceDetail;
    readonly place: string;
  }[];
  /** Directories with content of the cluster's own that `force` allows to replace. */
  readonly replaced: readonly string[];
  /** The server's: of a tablespace's place only this version's folder is the cluster's. */
  readonly major: number;
}

/**
 * Decides where everything goes, before anything is written (but for clearing what killed runs
 * left). A tablespace goes where the mapping says, else below `tablespaceRoot`, else where it was.
 * @throws LifeboatError kind `refused`: `TARGET_NOT_EMPTY`, `TARGET_IN_USE`, `TABLESPACE_NOT_EMPTY`;
 *   kind `usage`: `TABLESPACE_UNKNOWN`, `TABLESPACE_MAPPING_INVALID`
 */
export async function restorePlaces(
  request: Pick<RestoreRequest, "to" | "tablespaceMapping" | "tablespaceRoot"> & {
    /** Left out by whoever never replaces anything. */
    readonly force?: boolean;
  },
  cluster: { readonly major: number; readonly tablespaces: readonly TablespaceDetail[] },
): Promise<RestorePlaces> {
  const { major } = cluster;
  const dataDirectory = await settled(request.to);
  const tablespaces = await mappedPlaces(cluster.tablespaces, request, dataDirectory);
  await assertNotRunning(dataDirectory);
  const own = request.force ? await tablespacesOf(dataDirectory) : new Set<string>();
  const replaced: string[] = [];
  if (await isFilled(dataDirectory)) {
    if (!request.force || !(await isDataDirectory(dataDirectory)))
      throw targetNotEmpty(dataDirectory, request.force);
    replaced.push(dataDirectory);
  }
  for (const { tablespace, place } of tablespaces) {
    if (!(await isFilled(place, versionFolder(major)))) continue;
    // Only those of the very cluster that is replaced: another one may be running on them.
    if (!own.has(place)) throw tablespaceNotEmpty(tablespace, place);
    replaced.push(place);
  }
  return { dataDirectory, tablespaces, replaced, major };
}

/** Through links that the engineer set (`main` → a larger disk): what is built takes the place of what they lead to. */
export async function settled(place: string): Promise<string> {
  return realpath(place).catch(() => resolve(place));
}

export async function mappedPlaces(
  tablespaces: readonly TablespaceDetail[],
  {
    tablespaceMapping: mapping,
    tablespaceRoot: root,
  }: Pick<RestoreRequest, "tablespaceMapping" | "tablespaceRoot">,
  dataDirectory: string,
): Promise<RestorePlaces["tablespaces"]> {
  const known = new Set(tablespaces.map(({ location }) => namedBy(location)));
  for (const old of mapping.keys())
    if (!known.has(namedBy(old))) throw unknownTablespace(old, [...known]);
  const byOld = new Map([...mapping].map(([old, place]) => [namedBy(old), place]));
  const taken = new Set([dataDirectory]);
  const places: { tablespace: TablespaceDetail; place: string }[] = [];
  for (const tablespace of tablespaces) {
    const own = root === null ? tablespace.location : join(root, String(tablespace.oid));
    const wanted = byOld.get(namedBy(tablespace.location)) ?? own;
    if (!isAbsolute(wanted)) throw badMapping(tablespace, wanted, "is not an absolute path");
    const place = await settled(wanted);
    for (const other of taken)
      if (overlap(other, place))
        throw badMapping(tablespace, wanted, `overlaps ${other}, which is restored too`);
    taken.add(place);
    places.push({ tablespace, place });
  }
  return places;
}

/** One that was made in place (`pg_tblspc/16385`) has no path of its own. */
function namedBy(location: string): string {
  return isAbsolute(location) ? resolve(location) : location;
}

function overlap(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);
}

/**
 * Whether something lies in a place, but for what killed runs left: that is cleared.
 * @param own of a tablespace: its version's folder, beside which those of others may lie
 */
export async function isFilled(place: string, own?: RegExp): Promise<boolean> {
  try {
    await clearLeftovers(place);
    return ((await entriesOf(place)) ?? []).some((name) => isInTheWay(name, own));
  } catch (cause) {
    throw isFaultOfTarget(cause) ? targetFailure(place, cause) : cause;
  }
}

async function isDataDirectory(place: string): Promise<boolean> {
  const entries = (await entriesOf(place)) ?? [];
  return ["PG_VERSION", "base", "global"].every((name) => entries.includes(name));
}

/** What cannot be read here is left out, and then is not replaced: the restore is refused. */
export async function tablespacesOf(dataDirectory: string): Promise<Set<string>> {
  const folder = join(dataDirectory, "pg_tblspc");
  const names = (await entriesOf(folder).catch(() => undefined)) ?? [];
  const targets = names.map((name) => readlink(join(folder, name)).catch(() => ""));
  return new Set((await Promise.all(targets)).filter(Boolean).map((target) => resolve(target)));
}

/** Also with `force`: files pulled from under a running server are a lost database. */
export async function assertNotRunning(dataDirectory: string): Promise<void> {
  const pid = await runningServer(dataDirectory).catch((cause: unknown) => {
    throw isFaultOfTarget(cause) ? targetFailure(dataDirectory, cause) : cause;
  });
  if (pid === undefined) return;
  const { stop } = await serverLines(dataDirectory);
  throw new LifeboatError({
    code: "TARGET_IN_USE",
    kind: "refused",
    message: `a server runs on ${dataDirectory} (process ${pid})`,
    remedy: `stop it first (by its service manager, where one runs it, else: ${stop}), or restore to another directory`,
    details: { path: dataDirectory, pid },
  });
}

function targetNotEmpty(path: string, force: boolean | undefined): LifeboatError {
  return new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: force
      ? `${path} is not empty and holds no data directory of Postgres`
      : `${path} is not empty`,
    remedy: remedyForFilled(force),
    details: { path },
  });
}

function remedyForFilled(force: boolean | undefined): string {
  const another = "name a directory that is missing or empty";
  if (force === undefined) return another;
  return force
    ? "--force replaces a data directory and nothing else: empty it by hand, or name another"
    : `${another}, or replace this data directory by --force`;
}

export function tablespaceNotEmpty(
  { location, oid }: TablespaceDetail,
  place: string,
): LifeboatError {
  return new LifeboatError({
    code: "TABLESPACE_NOT_EMPTY",
    kind: "refused",
    message: `tablespace ${oid} belongs in ${place}, which is not empty`,
    remedy: `give it another place: --tablespace-mapping ${mappingOf(location)}`,
    details: { oid, location, path: place },
  });
}

/** As pg_basebackup's option is written: an equals sign in a path stands behind a backslash. */
function mappingOf(location: string): string {
  return `${shellWord(location.replaceAll("=", "\\="))}=NEW`;
}

function unknownTablespace(old: string, known: readonly string[]): LifeboatError {
  return new LifeboatError({
    code: "TABLESPACE_UNKNOWN",
    kind: "usage",
    message: `the backup has no tablespace at ${old}`,
    remedy: known.length > 0 ? `it has ${known.join(", ")}` : "it has none: leave the mapping out",
    details: { location: old, known },
  });
}

function badMapping(tablespace: TablespaceDetail, place: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "TABLESPACE_MAPPING_INVALID",
    kind: "usage",
    message: `tablespace ${tablespace.oid} cannot be restored to ${place}: it ${why}`,
    remedy: `choose another place: --tablespace-mapping ${mappingOf(tablespace.location)}`,
    details: { oid: tablespace.oid, path: place },
  });
}
