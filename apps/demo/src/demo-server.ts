import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Account,
  findPrograms,
  initialiseCluster,
  reachablePrograms,
  type Server,
  type ServerPrograms,
  serverAccount,
  startOnFreePort,
} from "@lifeboat/postgres";
import { openPostgres } from "@lifeboat/traffic";
import { archiveCommand } from "./archive-command.ts";
import type { Product, ProductName } from "./product.ts";
import type { Show } from "./show.ts";

/** The major version that comes with `npm install`. */
const MAJOR = 18;

/** A Postgres server of the show's own, with a database for one product, which archives its WAL. */
export interface DemoServer {
  readonly account: Account;
  readonly programs: ServerPrograms;
  readonly version: string;
  readonly origin: string;
  readonly archiveCommand: string;
  readonly dataDirectory: string;
  /** The product's database; the password is in `environment`. */
  readonly url: string;
  readonly environment: Product["environment"];
}

/** Makes a cluster that archives into the repository, starts it, and makes the product's database. */
export async function startServer(show: Show, name: ProductName): Promise<DemoServer> {
  const account = await serverAccount();
  const found = await findPrograms({ major: MAJOR, needs: ["initdb", "postgres"] });
  const { programs, release } = await reachablePrograms(found, account);
  show.atEnd(release);
  show.atEnd(() => rm(show.folder.cluster, { recursive: true }));
  const command = await archiveCommand(show, account, name);
  const dataDirectory = join(show.folder.cluster, "data");
  const password = randomBytes(12).toString("hex");
  await initialiseCluster({ programs, account, dataDirectory, password });
  const settings = { archive_mode: "on", archive_command: command, timezone: "UTC" };
  const server = await startOnFreePort({ programs, account, dataDirectory, settings });
  show.atEnd(() => server.stop());
  await createProductDatabase(server, name);
  const url = `postgres://postgres@127.0.0.1:${server.port}/${name}`;
  return {
    account,
    programs,
    version: programs.version,
    origin: found.origin === "embedded" ? "the npm package" : found.directory,
    archiveCommand: command,
    dataDirectory,
    url,
    environment: {
      [`${name.toUpperCase()}_POSTGRES_URL`]: url,
      [`${name.toUpperCase()}_POSTGRES_DATA`]: dataDirectory,
      PGPASSWORD: password,
    },
  };
}

async function createProductDatabase(server: Server, name: string): Promise<void> {
  const session = await openPostgres(socketUrl(server, "postgres"));
  try {
    await session.run(`CREATE DATABASE ${name}`);
  } finally {
    await session.close();
  }
}

/** A server's private socket lets the superuser in without a password. */
export function socketUrl(server: Server, database: string): string {
  const host = encodeURIComponent(server.socketDirectory);
  return `postgres://postgres@${host}:${server.port}/${database}`;
}
