import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type DatabaseFolder, LifeboatError, type Manifest, type Report } from "@lifeboat/core";
import type pg from "pg";
import { type Account, serverAccount } from "../account.ts";
import { type ServerConnection, withClient } from "../connection.ts";
import { nameOf } from "../connection-failure.ts";
import { postgresDetails } from "../details.ts";
import { dropSlot } from "../drop-slot.ts";
import { syncDirectories, writeDurably } from "../durable.ts";
import { postgresEngine } from "../engine.ts";
import { restorePlaces } from "../restore-places.ts";
import { Sites } from "../restore-sites.ts";
import { describeServer, type ServerFacts } from "../server-facts.ts";
import { isFaultOfTarget, targetFailure } from "../target-failure.ts";
import { formatLsn } from "../wal/lsn.ts";
import { passfileLine, primaryConninfo } from "./conninfo.ts";
import { unpackFromPrimary } from "./standby-base.ts";
import { configureStandby, passfileOf } from "./standby-files.ts";
import { assertKeepsEnough, reserveSlot, standbySlotName } from "./standby-slot.ts";

export interface MakeStandby {
  /** The primary. */
  readonly connection: ServerConnection;
  /** Absolute; missing or empty. */
  readonly to: string;
  /** null for none; after the directory when left out. */
  readonly slot?: string | null | undefined;
  /** Where the base comes from: the primary when left out, else the newest of these backups. */
  readonly repository?: { readonly folder: DatabaseFolder; readonly backups: readonly Manifest[] };
  readonly maxRate: number | null;
  readonly tablespaceMapping: ReadonlyMap<string, string>;
  /** The second source of WAL: the program and arguments before name and destination. */
  readonly fetchCommand: readonly string[];
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface MadeStandby {
  readonly path: string;
  readonly slot: string | null;
  /** `host:port` of the primary. */
  readonly primary: string;
  readonly startLsn: string;
  /** What pg_stat_replication on the primary will call it. */
  readonly name: string;
}

/**
 * Makes a data directory that starts as a streaming standby. The slot is reserved first, so that no WAL
 * is lost; if anything fails afterwards it is dropped again, and nothing is left.
 * @throws LifeboatError kind `refused`: `TARGET_NOT_EMPTY`, `SLOT_ACTIVE`, `WAL_KEEP_TOO_SMALL`; what the
 *   primary, the repository or the disk threw
 */
export async function makeStandby(request: MakeStandby): Promise<MadeStandby> {
  const { connection, to } = request;
  const slot = request.slot === undefined ? standbySlotName(to) : request.slot;
  return withClient(connection, async (client) => {
    const server = await describeServer(client);
    const work = { request, client, server, slot, account: await serverAccount(to, dirname(to)) };
    const places = await placesFor(request, server);
    if (slot === null) await assertKeepsEnough(client, server, request.maxRate);
    else await reserveSlot(client, slot);
    try {
      const startLsn = request.repository
        ? await fromRepository(work, request.repository)
        : await fromPrimary(work, places);
      const { host, port } = client;
      return { path: to, slot, primary: nameOf({ host, port }), startLsn, name: nameFor(work) };
    } catch (cause) {
      await rm(passfileOf(to), { force: true });
      const failure = isFaultOfTarget(cause) ? targetFailure(to, cause) : cause;
      if (slot === null || (await isDropped(connection, slot))) throw failure;
      throw withSlotLeft(failure, slot);
    }
  });
}

interface Work {
  readonly request: MakeStandby;
  readonly client: pg.Client;
  readonly server: ServerFacts;
  readonly slot: string | null;
  readonly account: Account;
}

async function placesFor(request: MakeStandby, { tablespaces }: ServerFacts) {
  const { to, tablespaceMapping } = request;
  return restorePlaces(
    { to, tablespaceMapping, tablespaceRoot: null, force: false },
    { tablespaces: tablespaces.map((each) => ({ ...each, object: "" })) },
  );
}

async function fromPrimary(
  work: Work,
  places: Awaited<ReturnType<typeof placesFor>>,
): Promise<string> {
  const { request, server, account } = work;
  const { connection, maxRate, report, signal } = request;
  const sites = await Sites.open(places, account);
  try {
    const base = { connection, server, places, sites, account, maxRate, report, signal };
    const { backup, mode } = await unpackFromPrimary(base);
    await configure(work, sites.data.path, mode);
    await sites.putInPlace();
    return formatLsn(backup.startLsn);
  } catch (cause) {
    await sites.discard();
    throw cause;
  }
}

/** Spares the primary: the archive brings the standby to where the slot begins. */
async function fromRepository(
  work: Work,
  { folder, backups }: NonNullable<MakeStandby["repository"]>,
): Promise<string> {
  const { to, tablespaceMapping, fetchCommand, report, signal } = work.request;
  if (folder.database !== work.server.systemIdentifier) throw noBase(folder);
  const engine = postgresEngine({ connection: work.request.connection });
  const plan = await engine.plan(folder, backups, { kind: "immediate" }, {});
  await engine.restore({
    ...{ folder, plan, to, tablespaceMapping, fetchCommand, report, signal },
    tablespaceRoot: null,
    force: false,
  });
  await configure(work, to, 0o600);
  return postgresDetails(plan.backups.at(-1) as Manifest).startLsn;
}

async function configure(work: Work, directory: string, mode: number): Promise<void> {
  const { request, client, slot, account } = work;
  const place = { host: client.host, port: client.port, user: client.user ?? "" };
  const { password } = client as { password?: unknown };
  const passfile = typeof password === "string" ? passfileOf(request.to) : undefined;
  if (passfile !== undefined) {
    const line = passfileLine(place, password as string);
    await writeDurably(passfile, line, { account, mode: 0o600 });
    await syncDirectories([dirname(passfile)]);
  }
  const conninfo = primaryConninfo(request.connection, place, { name: nameFor(work), passfile });
  const { fetchCommand } = request;
  await configureStandby(directory, { conninfo, slot, fetchCommand }, { account, mode });
}

function nameFor({ slot, request }: Pick<Work, "slot" | "request">): string {
  return slot ?? standbySlotName(request.to);
}

/** By a connection of its own: what failed may have been the other. */
async function isDropped(connection: ServerConnection, slot: string): Promise<boolean> {
  try {
    await dropSlot(connection, slot);
    return true;
  } catch (thrown) {
    return thrown instanceof LifeboatError && thrown.code === "SLOT_NOT_FOUND";
  }
}

/** It keeps WAL on the primary until somebody drops it. */
function withSlotLeft(failure: unknown, slot: string): unknown {
  if (!(failure instanceof LifeboatError)) return failure;
  const { code, kind, message, remedy, details } = failure;
  return new LifeboatError({
    ...{ code, kind },
    message: `${message}; replication slot ${slot} is left on the primary, and keeps WAL there`,
    remedy: `${remedy}; and drop the slot, if it is not made again: lifeboat slots --drop ${slot}`,
    details: { ...details, slot },
    cause: failure,
  });
}

function noBase(folder: DatabaseFolder): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup of the primary's cluster in ${folder.path}`,
    remedy: "take one with lifeboat backup, or leave --from repository out",
  });
}
