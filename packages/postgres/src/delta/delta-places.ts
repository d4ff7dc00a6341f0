import { lstat, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { LifeboatError, type RestoreRequest } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { PostgresDetails } from "../details.ts";
import {
  assertNotRunning,
  isFilled,
  mappedPlaces,
  type RestorePlaces,
  settled,
  tablespaceNotEmpty,
  tablespacesOf,
} from "../places/restore-places.ts";
import { versionFolder } from "../places/version-folder.ts";
import { systemOf } from "./half-done.ts";

/** What a data directory never lacks, also one that is half-done. */
const ESSENTIAL = { PG_VERSION: "file", base: "directory", global: "directory" } as const;

/**
 * Where a delta restore works, before anything is touched: in a data directory of the very cluster,
 * on which no server runs, and in tablespaces that are this directory's own, or empty.
 * @throws LifeboatError kind `refused`: `DELTA_TARGET_UNFIT`, `DELTA_OTHER_CLUSTER`, `DELTA_TARGET_OWNER`,
 *   `TARGET_IN_USE`, `TABLESPACE_NOT_EMPTY`; kind `usage`: `TABLESPACE_UNKNOWN`, `TABLESPACE_MAPPING_INVALID`
 */
export async function deltaPlaces(
  request: Pick<RestoreRequest, "to" | "tablespaceMapping" | "tablespaceRoot">,
  details: Pick<PostgresDetails, "tablespaces" | "systemIdentifier" | "serverVersion">,
): Promise<Pick<RestorePlaces, "dataDirectory" | "tablespaces">> {
  const dataDirectory = await settled(request.to);
  const tablespaces = await mappedPlaces(details.tablespaces, request, dataDirectory);
  await assertDataDirectory(dataDirectory);
  await assertNotRunning(dataDirectory);
  const found = await systemOf(dataDirectory);
  if (found !== details.systemIdentifier)
    throw otherCluster(dataDirectory, found, details.systemIdentifier);
  await assertOwned(dataDirectory);
  const own = await tablespacesOf(dataDirectory);
  const folder = versionFolder(Math.trunc(details.serverVersion / 10_000));
  for (const { tablespace, place } of tablespaces)
    if (!own.has(place) && (await isFilled(place, folder)))
      throw tablespaceNotEmpty(tablespace, place);
  return { dataDirectory, tablespaces };
}

async function assertDataDirectory(path: string): Promise<void> {
  for (const [name, kind] of Object.entries(ESSENTIAL)) {
    const found = await lstat(join(path, name)).catch(() => undefined);
    if (!(kind === "file" ? found?.isFile() : found?.isDirectory())) throw unfit(path, name, kind);
  }
}

/** Who may write to it may turn it into links while we work: it has to be the account that gets it. */
async function assertOwned(path: string): Promise<void> {
  const { uid } = await stat(path);
  const own = userInfo().uid;
  if (own === 0 ? uid !== 0 : uid === own) return;
  throw new LifeboatError({
    code: "DELTA_TARGET_OWNER",
    kind: "refused",
    message:
      own === 0
        ? `${path} belongs to root, as which no server runs`
        : `${path} belongs to another account (${uid})`,
    remedy:
      own === 0
        ? `give it to the server's account: chown -R postgres ${shellWord(path)}`
        : "run it as that account, or restore to another directory",
    details: { path, uid },
  });
}

function unfit(path: string, name: string, kind: string): LifeboatError {
  return new LifeboatError({
    code: "DELTA_TARGET_UNFIT",
    kind: "refused",
    message: `${path} is no data directory of Postgres: it has no ${kind} ${name}`,
    remedy:
      "--delta works on a data directory of this cluster; restore without it into an empty or missing directory",
    details: { path, missing: name },
  });
}

function otherCluster(path: string, found: string | undefined, expected: string): LifeboatError {
  return new LifeboatError({
    code: "DELTA_OTHER_CLUSTER",
    kind: "refused",
    message:
      found === undefined
        ? `${path} does not tell which cluster it is of: it has no global/pg_control`
        : `${path} is of the cluster ${found}, and the backup of ${expected}`,
    remedy: "restore without --delta, into an empty or missing directory",
    details: { path, found: found ?? null, expected },
  });
}
