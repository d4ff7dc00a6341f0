import { createHash, randomBytes } from "node:crypto";
import { chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Account,
  initialiseCluster,
  runAs,
  Server,
  type ServerPrograms,
} from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { sharedByRun } from "./shared-by-run.ts";
import { giveSystemIdentifier } from "./system-identifier.ts";

/** What a test cluster is made of. */
export interface ClusterShape {
  readonly programs: ServerPrograms;
  readonly account: Account;
  /** Further options of initdb. */
  readonly initdb: readonly string[];
}

/**
 * Lays a cluster with role `lifeboat` and its database `app` into a new data directory, stopped. initdb takes a second and
 * more, and most test files need a cluster or several: so one is made per shape and run, and copied. A copy has
 * a system identifier of its own.
 * @returns the password of both its roles
 */
export async function layCluster(shape: ClusterShape, dataDirectory: string): Promise<string> {
  const template = await sharedByRun(nameOf(shape), shape.account, async (folder) => {
    const password = await makeCluster(shape, join(folder, "data"));
    await writeFile(join(folder, "password"), password, { mode: 0o600 });
  });
  if (template === undefined) return makeCluster(shape, dataDirectory);
  await copyAs(shape.account, join(template, "data"), dataDirectory);
  await giveSystemIdentifier(dataDirectory, newSystemIdentifier());
  return readFile(join(template, "password"), "utf8");
}

function nameOf({ programs, initdb }: ClusterShape): string {
  const options = createHash("sha256").update(JSON.stringify(initdb)).digest("hex");
  return `postgres-${programs.version.replaceAll(/[^\w.]/g, "-")}-${options.slice(0, 8)}`;
}

/** As initdb makes them: the time, and below it what tells apart those of one second. */
function newSystemIdentifier(): bigint {
  const seconds = BigInt(Math.floor(Date.now() / 1000));
  return (seconds << 32n) | BigInt(randomBytes(4).readUInt32LE());
}

async function makeCluster(shape: ClusterShape, dataDirectory: string): Promise<string> {
  const { programs, account, initdb } = shape;
  const password = randomBytes(9).toString("hex");
  const options = ["--no-sync", ...initdb];
  await initialiseCluster({ programs, account, dataDirectory, password, options });
  const settings = { fsync: "off" };
  const server = await Server.start({ programs, account, dataDirectory, settings });
  try {
    await server.accepting("postgres");
    await makeApp(server, password);
  } finally {
    await server.stop();
  }
  return password;
}

async function makeApp(server: Server, password: string): Promise<void> {
  const client = new pg.Client(server.clientConfig("postgres", "postgres"));
  await client.connect();
  try {
    await client.query(`create role lifeboat login replication password '${password}'`);
    await client.query("grant pg_monitor, pg_read_server_files, pg_checkpoint to lifeboat");
    // By copying files its WAL is small: tests that archive begin with little.
    await client.query("create database app owner lifeboat strategy file_copy");
  } finally {
    await client.end();
  }
}

/** By `cp` as the account: one process, and every owner and mode is right. */
async function copyAs(account: Account, from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  if (account.foreign) await chown(to, account.uid, account.gid);
  await execa("cp", ["-Rp", `${from}/.`, to], runAs(account));
}
