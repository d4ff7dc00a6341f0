import { rm } from "node:fs/promises";
import { dirname, isAbsolute } from "node:path";
import {
  chosenBackup,
  type DatabaseFolder,
  type Finding,
  LifeboatError,
  type Manifest,
  type Report,
} from "@lifeboat/core";
import type pg from "pg";
import { isFaultOfTarget, targetFailure } from "../archive/target-failure.ts";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { nameOf } from "../connection/failure.ts";
import { postgresDetails } from "../details.ts";
import { postgresEngine } from "../engine.ts";
import { localDirectory } from "../facts/local-directory.ts";
import { describeServer, type ServerFacts } from "../facts/server-facts.ts";
import { type Account, serverAccount } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { assertNobodyElseBuilds } from "../places/leftovers.ts";
import { restorePlaces } from "../places/restore-places.ts";
import { Sites } from "../places/restore-sites.ts";
import { assertPlaceUnused } from "../places/tablespace-made-since.ts";
import { laySettings } from "../restore/lay-settings.ts";
import { restorePostgres } from "../restore.ts";
import { storeSettings } from "../snapshot/settings.ts";
import { formatLsn } from "../wal/lsn.ts";
import { isDropped, withSlotLeft } from "./abandoned-slot.ts";
import { passfileLines, primaryConninfo } from "./conninfo.ts";
import { assertFeedsStandbys } from "./feeds-standbys.ts";
import { SlotReservation } from "./slot-reservation.ts";
import { unpackFromPrimary } from "./standby-base.ts";
import { configureStandby, passfileOf } from "./standby-files.ts";
import { assertPortFree, portFor } from "./standby-port.ts";
import {
  assertKeepsEnough,
  assertSlotHolds,
  removedMeanwhile,
  reserveSlot,
  standbySlotName,
} from "./standby-slot.ts";

export interface MakeStandby {
  /** The primary. */
  readonly connection: ServerConnection;
  /** Absolute; missing or empty. */
  readonly to: string;
  /** null for none; after the directory when left out. */
  readonly slot?: string | null | undefined;
  /** Where it listens; as its settings say, or the next free one, when left out. */
  readonly port?: number | undefined;
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
  readonly port: number;
  readonly findings: readonly Finding[];
  /** What pg_stat_replication on the primary will call it. */
  readonly name: string;
}

/**
 * Makes a data directory that starts as a streaming standby. The slot is reserved first, so that no WAL
 * is lost; if anything fails afterwards it is dropped again, and nothing is left.
 * @throws LifeboatError `WAL_LEVEL_MINIMAL`, `SLOT_LOST`; kind `refused`: `TARGET_NOT_EMPTY`, `PORT_TAKEN`, `SLOT_ACTIVE`, `SLOT_EXISTS`, `WAL_KEEP_TOO_SMALL`, `TABLESPACE_IN_USE`; what the
 *   primary, the repository or the disk threw
 */
export async function makeStandby(request: MakeStandby): Promise<MadeStandby> {
  const { connection, to } = request;
  const slot = request.slot === undefined ? standbySlotName(to) : request.slot;
  return withClient(connection, async (client) => {
    const server = await describeServer(client);
    assertFeedsStandbys(server);
    const account = await serverAccount(to, dirname(to));
    const places = await placesFor(request, server);
    const passfile = passfileOf(places.dataDirectory);
    // Before a slot is reserved: that of the other run would be taken for a killed one's.
    await assertNobodyElseBuilds(places.dataDirectory);
    if (request.port !== undefined) await assertPortFree(request.port);
    const reservation = new SlotReservation(to, server.systemIdentifier, account);
    if (slot === null) await assertKeepsEnough(client, server, request.maxRate);
    const reserved = slot === null ? null : await reserveSlot(client, slot, reservation);
    const work = { request, client, server, slot, reserved, account, passfile };
    let made: Made;
    try {
      made = request.repository
        ? await fromRepository(work, request.repository)
        : await fromPrimary(work, places);
    } catch (cause) {
      // Whatever else fails, the slot is not left to fill the primary's disk.
      await rm(passfile, { force: true }).catch(() => {});
      const failure = isFaultOfTarget(cause) ? targetFailure(to, cause) : cause;
      if (slot !== null && !(await isDropped(connection, slot))) throw withSlotLeft(failure, slot);
      await reservation.end();
      throw failure;
    }
    await reservation.end();
    const { host, port } = client;
    made = { ...made, findings: [...made.findings, ...(await besidePrimary(server))] };
    return { path: to, slot, primary: nameOf({ host, port }), name: nameFor(work), ...made };
  });
}

type Made = Pick<MadeStandby, "startLsn" | "port" | "findings">;

interface Work {
  readonly request: MakeStandby;
  readonly client: pg.Client;
  readonly server: ServerFacts;
  readonly slot: string | null;
  /** From where on the primary keeps WAL for it. */
  readonly reserved: string | null;
  readonly account: Account;
  /** Where its password lies, if it has one. */
  readonly passfile: string;
}

async function placesFor(request: MakeStandby, { major, tablespaces }: ServerFacts) {
  const { to, tablespaceMapping } = request;
  return restorePlaces(
    { to, tablespaceMapping, tablespaceRoot: null },
    { major, tablespaces: tablespaces.map((each) => ({ ...each, object: "" })) },
  );
}

async function fromPrimary(
  work: Work,
  places: Awaited<ReturnType<typeof placesFor>>,
): Promise<Made> {
  const { request, server, account } = work;
  const { connection, maxRate, report, signal } = request;
  const sites = await Sites.open(places, account);
  try {
    const base = { connection, server, places, sites, account, maxRate, report, signal };
    const { backup, mode } = await unpackFromPrimary(base);
    const owned = { account, mode };
    const laid = await layPrimarysSettings(work, sites.data.path, owned);
    const { port, findings } = await configure(work, sites.data.path, mode);
    const removed =
      work.slot === null ? await removedMeanwhile(work.client, server, backup.startLsn) : [];
    await sites.putInPlace();
    const startLsn = formatLsn(backup.startLsn);
    return { startLsn, port, findings: [...laid, ...removed, ...findings] };
  } catch (cause) {
    await sites.discard();
    throw cause;
  }
}

/** Spares the primary: the archive brings the standby to where the slot begins. */
async function fromRepository(
  work: Work,
  { folder, backups }: NonNullable<MakeStandby["repository"]>,
): Promise<Made> {
  const { to, tablespaceMapping, fetchCommand, report, signal } = work.request;
  if (folder.database !== work.server.systemIdentifier) throw noBase(folder);
  const engine = postgresEngine({ connection: work.request.connection });
  const plan = await engine.plan(folder, backups, { kind: "immediate" }, {});
  // It replays all that the primary has written since.
  const { tablespaces } = postgresDetails(chosenBackup(plan));
  for (const { oid, location } of work.server.tablespaces)
    if (isAbsolute(location) && !tablespaces.some((each) => each.oid === oid))
      await assertPlaceUnused(location, work.server.major);
  let configured: Awaited<ReturnType<typeof configure>> | undefined;
  const restored = await restorePostgres(
    {
      ...{ folder, plan, to, tablespaceMapping, fetchCommand, report, signal },
      tablespaceRoot: null,
      force: false,
    },
    {
      // Before it has its place: what lies there then is a standby, and never a copy that opens as a database of its own.
      finish: async (directory, { account, mode }) => {
        configured = await configure({ ...work, account }, directory, mode);
      },
    },
  );
  const { port, findings } = configured as NonNullable<typeof configured>;
  const { startLsn } = postgresDetails(plan.backups.at(-1) as Manifest);
  return { startLsn, port, findings: [...restored.findings.filter(ofStandby), ...findings] };
}

/** What a copy that opens by itself would do, a standby does only once it is promoted, and then it should. */
function ofStandby({ id }: Finding): boolean {
  return id !== "copy-archives" && id !== "copy-waits-for-standbys";
}

/** Settings that lie outside the primary's data directory (Debian keeps them in `/etc`) come with no base backup. */
async function layPrimarysSettings(
  { client, server, request }: Work,
  directory: string,
  owned: { readonly account: Account; readonly mode: number },
): Promise<Finding[]> {
  const contents = new Map<string, Buffer>();
  const { settings, findings } = await storeSettings(client, server, async (object, content) => {
    contents.set(object, content);
    return { object };
  });
  const { dataDirectory } = server;
  const laid = await laySettings({
    ...owned,
    details: { settings, dataDirectory },
    read: async ({ object }) => contents.get(object) as Buffer,
    directory,
    dataDirectory: request.to,
  });
  return [...findings, ...laid];
}

async function configure(
  work: Work,
  directory: string,
  mode: number,
): Promise<Pick<Made, "port" | "findings">> {
  const { request, client, slot, account } = work;
  const place = { host: client.host, port: client.port, user: client.user ?? "" };
  const { password } = client as { password?: unknown };
  const passfile = typeof password === "string" ? work.passfile : undefined;
  if (passfile !== undefined) {
    const line = passfileLines(place, password as string);
    await writeDurably(passfile, line, { account, mode: 0o600 });
    await syncDirectories([dirname(passfile)]);
  }
  const conninfo = primaryConninfo(request.connection, place, { name: nameFor(work), passfile });
  const { fetchCommand } = request;
  const found = await portFor(directory);
  const port = request.port ?? found.port;
  const own = request.port ?? (found.taken === null ? null : found.port);
  const settings = { conninfo, slot, fetchCommand, port: own };
  await configureStandby(directory, settings, { account, mode });
  const moved = request.port === undefined && found.taken !== null;
  // The last that is done before it has its place. By a connection of its own: the other was idle for as long as a copy takes, and may have gone with a restart.
  const { reserved } = work;
  const losing =
    slot === null || reserved === null
      ? []
      : await withClient(request.connection, (again) => assertSlotHolds(again, slot, reserved));
  return { port, findings: [...losing, ...(moved ? [portMoved(found.taken, port)] : [])] };
}

/** The server makes a tablespace of the primary again at the same path, whatever the standby's own were mapped to. */
async function besidePrimary(server: ServerFacts): Promise<Finding[]> {
  if ((await localDirectory(server)) === undefined) return [];
  return [
    {
      id: "standby-beside-primary",
      severity: "warning",
      summary:
        "the primary is on this host: a tablespace that is made there from now on, the standby makes at the same path, and both write into its files",
      remedy:
        "remove the standby before you make one (lifeboat standby --remove), and make it anew",
    },
  ];
}

function portMoved(taken: number, port: number): Finding {
  return {
    id: "standby-port",
    severity: "info",
    summary: `port ${taken}, as the primary's settings say, is taken on this host: this standby listens on ${port}`,
    remedy: "the line is the last of its postgresql.auto.conf; --port chooses another",
  };
}

function nameFor({ slot, request }: Pick<Work, "slot" | "request">): string {
  return slot ?? standbySlotName(request.to);
}

function noBase(folder: DatabaseFolder): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup of the primary's cluster in ${folder.path}`,
    remedy: "take one with lifeboat backup, or leave --from repository out",
  });
}
