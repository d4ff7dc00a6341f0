import { chown, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { LifeboatError, reasonOf } from "@lifeboat/core";
import { execa } from "execa";
import { type Account, runAs } from "../files/account.ts";
import { programPath, type ServerPrograms } from "./programs.ts";
import { Scratch } from "./scratch.ts";
import { Server, type ServerInit } from "./server.ts";

export interface ClusterInit {
  readonly programs: ServerPrograms;
  readonly account: Account;
  /** Missing or empty. */
  readonly dataDirectory: string;
  /** The superuser, `postgres` when left out. */
  readonly superuser?: string;
  /** What the superuser must say when it comes by TCP. By the private socket it need not. */
  readonly password: string;
  /** Further options of initdb: `["--wal-segsize=1"]`. */
  readonly options?: readonly string[];
}

/**
 * Makes a new cluster with data checksums, UTF-8, and the locale C, which sorts alike on every
 * machine. Whoever reaches its socket is trusted; others need the password (SCRAM).
 * @throws LifeboatError `INITDB_FAILED` with initdb's own words
 */
export async function initialiseCluster(init: ClusterInit): Promise<void> {
  await makeOwned(init.dataDirectory, init.account);
  const scratch = await Scratch.make(init.account);
  const passwordFile = join(scratch.path, "password");
  try {
    await writeFile(passwordFile, `${init.password}\n`, { mode: 0o600 });
    if (init.account.foreign) await chown(passwordFile, init.account.uid, init.account.gid);
    await runInitdb(init, passwordFile);
  } finally {
    await scratch.remove();
  }
}

async function runInitdb(init: ClusterInit, passwordFile: string): Promise<void> {
  const args = [
    `--pgdata=${init.dataDirectory}`,
    `--username=${init.superuser ?? "postgres"}`,
    "--auth-local=trust",
    "--auth-host=scram-sha-256",
    `--pwfile=${passwordFile}`,
    "--data-checksums",
    "--encoding=UTF8",
    "--no-locale",
    ...(init.options ?? []),
  ];
  const made = await execa(programPath(init.programs, "initdb"), args, {
    ...runAs(init.account),
    reject: false,
  });
  if (made.failed)
    throw new LifeboatError({
      code: "INITDB_FAILED",
      message: `initdb could not make ${init.dataDirectory}: ${made.stderr.trim() || made.shortMessage}`,
      remedy: "mend what it names; what it had begun is removed",
      details: { dataDirectory: init.dataDirectory, programs: init.programs.directory },
    });
}

async function makeOwned(directory: string, account: Account): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (account.foreign) await chown(directory, account.uid, account.gid);
}

/** Another program may take a port between our asking for a free one and the server's binding it. */
const PORT_TRIES = 10;
const PORT_TAKEN = /could not (bind|create any TCP\/IP sockets)/;

/**
 * Starts a server that also listens at a free port of 127.0.0.1, and waits until clients are let in.
 * @throws LifeboatError `SERVER_ENDED`
 */
export async function startOnFreePort(
  init: Omit<ServerInit, "port" | "scratch">,
  user = "postgres",
): Promise<Server> {
  for (let tries = 1; ; tries++) {
    const server = await Server.start({ ...init, port: await freePort() });
    try {
      await server.accepting(user);
      return server;
    } catch (cause) {
      await server.stop("immediate");
      if (tries === PORT_TRIES || !PORT_TAKEN.test(reasonOf(cause))) throw cause;
    }
  }
}

async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const probe = createServer();
  probe.once("error", reject);
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address();
    const port = typeof address === "object" && address ? address.port : 0;
    probe.close(() => resolve(port));
  });
  return promise;
}
