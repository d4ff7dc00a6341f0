import { connect, createServer } from "node:net";
import { join } from "node:path";
import { isSystemError, LifeboatError } from "@lifeboat/core";
import { effectiveValue, settingsIn } from "../files/effective-settings.ts";

const USUAL_PORT = 5432;
const LAST_PORT = 65_535;
/** Where servers put their sockets unless told otherwise: as built by the project, and by Debian. */
const USUAL_SOCKETS = ["/tmp", "/var/run/postgresql"];

/** At which port a standby will listen. */
export interface StandbyPort {
  readonly port: number;
  /** What the settings that came from the primary name, where that is taken on this host; else null. */
  readonly taken: number | null;
}

/**
 * The port of a standby that was made on this host: as its settings say, or where a server listens there already (on the
 * primary's own host always) the next one that is free, as Debian's pg_createcluster counts.
 * @param directory where its files lie
 */
export async function portFor(directory: string): Promise<StandbyPort> {
  const settings = await settingsIn(directory);
  const wanted = Number(effectiveValue(settings, "port") ?? USUAL_PORT);
  const sockets = socketDirectories(effectiveValue(settings, "unix_socket_directories"));
  for (let port = wanted; port <= LAST_PORT; port++)
    if (!(await isTaken(port, sockets))) return { port, taken: port === wanted ? null : wanted };
  return { port: wanted, taken: null };
}

/** @throws LifeboatError kind `refused`: `PORT_TAKEN` */
export async function assertPortFree(port: number): Promise<void> {
  if (!(await isTaken(port, USUAL_SOCKETS))) return;
  throw new LifeboatError({
    code: "PORT_TAKEN",
    kind: "refused",
    message: `port ${port} is taken on this host`,
    remedy: "name another by --port, or leave it out: then a free one is found",
    details: { port },
  });
}

function socketDirectories(setting: string | undefined): readonly string[] {
  if (setting === undefined) return USUAL_SOCKETS;
  const names = setting.split(",").map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
  return names.filter((name) => name.startsWith("/"));
}

async function isTaken(port: number, sockets: readonly string[]): Promise<boolean> {
  for (const address of ["0.0.0.0", "::"]) if (!(await canListen(port, address))) return true;
  for (const folder of sockets) if (await answers(join(folder, `.s.PGSQL.${port}`))) return true;
  return false;
}

/** Only a port that is in use is none: this host may know no IPv6. */
async function canListen(port: number, host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = createServer();
  probe.once("error", (cause) => resolve(!isSystemError(cause, "EADDRINUSE")));
  probe.listen({ port, host, ipv6Only: true }, () => probe.close(() => resolve(true)));
  return promise;
}

/** A server behind a socket; after a crash its file is still there, and nobody answers. */
async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(path, () => resolve(true));
  probe.once("error", (cause) =>
    resolve(!isSystemError(cause, "ENOENT") && !isSystemError(cause, "ECONNREFUSED")),
  );
  return promise.finally(() => probe.destroy());
}
