import { lstat, readdir, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { localDirectory } from "../facts/local-directory.ts";
import { describeServer, type ServerFacts } from "../facts/server-facts.ts";
import { effectiveValue, settingsIn } from "../files/effective-settings.ts";
import { readSmallFile } from "../files/small-file.ts";
import { readSystemIdentifier } from "../files/system-identifier.ts";
import { settled } from "../places/restore-places.ts";
import { versionFolder } from "../places/version-folder.ts";
import { serverLines } from "../server/server-line.ts";
import { dropSlot } from "../slots/drop-slot.ts";
import { readSlots } from "../slots/slots.ts";
import { passfileOf } from "./standby-files.ts";
import { isRunning } from "./start-standby.ts";

export interface RemovedStandby {
  readonly path: string;
  /** The slot that was dropped. */
  readonly slot: string | null;
  /** The slot that it used and that was not dropped: left, or not on the server that was asked. */
  readonly slotLeft: string | null;
  /** Tablespaces left alone: the primary has its own files there, or could not be asked whether it has. */
  readonly kept: readonly string[];
}

/**
 * Drops the slot of a standby and removes its files, tablespaces included. The slot goes first: what can
 * not be dropped would fill the primary's disk.
 * @param leaveSlot for a primary that is gone: it is asked nothing, and no folder of a tablespace is removed, since it may be the primary's
 * @throws LifeboatError kind `refused`: `NOT_A_STANDBY`, `STANDBY_RUNNING`, `SLOT_ACTIVE`; what connecting throws
 */
export async function removeStandby(
  connection: ServerConnection,
  path: string,
  { leaveSlot = false }: { readonly leaveSlot?: boolean } = {},
): Promise<RemovedStandby> {
  await assertStandby(path);
  if (await isRunning(path)) throw running(path, (await serverLines(path)).stop);
  const slot = effectiveValue(await settingsIn(path), "primary_slot_name") || null;
  const tablespaces = await tablespacesOf(path);
  let isDropped = false;
  let kept = tablespaces;
  if (!leaveSlot) {
    const { known, primarys } = await askPrimary(connection, path);
    if (slot !== null && known.includes(slot)) {
      await dropSlot(connection, slot);
      isDropped = true;
    }
    kept = await removeTablespaces(path, tablespaces, primarys);
  }
  // A link that leads to it was set by the engineer, and stays.
  const dataDirectory = await settled(path);
  await rm(dataDirectory, { recursive: true, force: true });
  await rm(passfileOf(dataDirectory), { force: true });
  return { path, slot: isDropped ? slot : null, slotLeft: isDropped ? null : slot, kept };
}

/** Its slots, and where its tablespaces lie. */
async function askPrimary(connection: ServerConnection, path: string) {
  const identifier = await readSystemIdentifier(path);
  try {
    return await withClient(connection, async (client) => {
      const server = await describeServer(client);
      if (server.systemIdentifier !== identifier) throw otherCluster(path, identifier);
      const known = (await readSlots(client)).map(({ name }) => name);
      return { known, primarys: await placesOfPrimary(server) };
    });
  } catch (thrown) {
    throw thrown instanceof LifeboatError ? withWayOut(thrown, path) : thrown;
  }
}

/** @returns those that are the primary's */
async function removeTablespaces(
  path: string,
  tablespaces: readonly string[],
  primarys: ReadonlySet<string>,
): Promise<string[]> {
  const own = versionFolder(String(await readSmallFile(join(path, "PG_VERSION"))).trim());
  const kept: string[] = [];
  const { uid } = await stat(path);
  for (const tablespace of tablespaces)
    if (primarys.has(await settled(tablespace))) kept.push(tablespace);
    else
      for (const name of await readdir(tablespace).catch((): string[] => [])) {
        const folder = join(tablespace, name);
        // The links are the account's to set, and may lead to another one's cluster.
        if (own.test(name) && (await lstat(folder)).uid === uid)
          await rm(folder, { recursive: true, force: true });
      }
  return kept;
}

async function assertStandby(path: string): Promise<void> {
  for (const name of ["PG_VERSION", "standby.signal"])
    if (!(await stat(join(path, name)).catch(() => undefined))) throw noStandby(path, name);
}

/**
 * Where the primary's own tablespaces lie on this host. One that was made there while the standby ran, the standby has by the same
 * path, as its server made it again. On another host that path is the standby's own.
 */
async function placesOfPrimary(server: ServerFacts): Promise<Set<string>> {
  const isElsewhere = server.dataDirectory !== null && !(await localDirectory(server));
  if (isElsewhere) return new Set();
  return new Set(await Promise.all(server.tablespaces.map(({ location }) => settled(location))));
}

async function tablespacesOf(path: string): Promise<string[]> {
  const folder = join(path, "pg_tblspc");
  const names = await readdir(folder).catch((): string[] => []);
  const targets = names.map((name) => readlink(join(folder, name)).catch(() => undefined));
  return (await Promise.all(targets)).filter((target) => target !== undefined);
}

function noStandby(path: string, missing: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_A_STANDBY",
    kind: "refused",
    message: `${path} is no standby: it holds no ${missing}`,
    remedy: "name the data directory of a standby; one that was promoted is a database of its own",
    details: { path },
  });
}

function running(path: string, stop: string): LifeboatError {
  return new LifeboatError({
    code: "STANDBY_RUNNING",
    kind: "refused",
    message: `the server of the standby in ${path} runs`,
    remedy: `stop it first: ${stop}`,
    details: { path },
  });
}

function otherCluster(path: string, identifier: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_A_STANDBY",
    kind: "refused",
    message: `${path} is of the cluster ${identifier}, and no standby of the server in the configuration`,
    remedy: "name its own primary in postgres.url, where its slot is",
    details: { path, identifier },
  });
}

/** Where the primary is gone for good nobody is left to drop the slot, and the files are in the way all the same. */
function withWayOut(failure: LifeboatError, path: string): LifeboatError {
  const { code, kind, message, remedy, details } = failure;
  return new LifeboatError({
    ...{ code, kind, details, cause: failure },
    message: `${message}; nothing of ${path} was removed`,
    remedy: `${remedy}; if its primary is gone, and this is not the newest copy that is left, remove its files alone: lifeboat standby --remove ${shellWord(path)} --leave-slot`,
  });
}
