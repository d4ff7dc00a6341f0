import { createHash, randomBytes } from "node:crypto";
import { chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Account,
  initialiseCluster,
  runAs,
  Server,
  type ServerPrograms,
  serverAccount,
} from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { giveSystemIdentifier } from "./system-identifier.ts";

/** Names the folder of this run's templates. */
const FOLDER = "LIFEBOAT_TEST_TEMPLATES";

/** What a test cluster is made of. */
export interface ClusterShape {
  readonly programs: ServerPrograms;
  readonly account: Account;
  /** Further options of initdb. */
  readonly initdb: readonly string[];
}

/** Runs before all tests: makes the folder where the templates of this run lie. */
export default async function makeTemplateFolder(): Promise<() => Promise<void>> {
  const account = await serverAccount();
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-templates-"));
  if (account.foreign) await chown(folder, account.uid, account.gid);
  process.env[FOLDER] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

/**
 * Lays a cluster with role `lifeboat` and its database `app` into a new data directory, stopped. initdb takes a second and
 * more, and each test file needs a cluster or several: so one is made per shape and run, and copied. A copy has
 * a system identifier of its own.
 * @returns the password of both its roles
 */
export async function layCluster(shape: ClusterShape, dataDirectory: string): Promise<string> {
  const folder = process.env[FOLDER];
  // The bench and the soaks run without.
  if (folder === undefined) return makeCluster(shape, dataDirectory);
  const template = await templateOf(shape, folder);
  await copyAs(shape.account, join(template, "data"), dataDirectory);
  await giveSystemIdentifier(dataDirectory, newSystemIdentifier());
  return readFile(join(template, "password"), "utf8");
}

/** As initdb makes them: the time, and below it what tells apart those of one second. */
function newSystemIdentifier(): bigint {
  const seconds = BigInt(Math.floor(Date.now() / 1000));
  return (seconds << 32n) | BigInt(randomBytes(4).readUInt32LE());
}

async function templateOf(shape: ClusterShape, folder: string): Promise<string> {
  const { programs, initdb } = shape;
  const key = createHash("sha256").update(JSON.stringify(initdb)).digest("hex").slice(0, 8);
  const template = join(folder, `${programs.version.replaceAll(/[^\w.]/g, "-")}-${key}`);
  if (await stat(template).catch(() => undefined)) return template;
  const mine = await mkdtemp(`${template}-`);
  if (shape.account.foreign) await chown(mine, shape.account.uid, shape.account.gid);
  const password = await makeCluster(shape, join(mine, "data"));
  await writeFile(join(mine, "password"), password, { mode: 0o600 });
  try {
    await rename(mine, template);
  } catch (cause) {
    // Another worker was first.
    if (!(await stat(template).catch(() => undefined))) throw cause;
    await rm(mine, { recursive: true });
  }
  return template;
}

async function makeCluster(
  { programs, account, initdb }: ClusterShape,
  dataDirectory: string,
): Promise<string> {
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
    await client.query("grant pg_monitor, pg_read_server_files to lifeboat");
    await client.query("grant pg_checkpoint to lifeboat");
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
