import { chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Account,
  findPrograms,
  installations,
  reachablePrograms,
  Server,
  type ServerPrograms,
  serverAccount,
  startOnFreePort,
} from "@lifeboat/postgres";
import pg from "pg";
import { killTree } from "./kill-tree.ts";
import { layCluster } from "./template-cluster.ts";

export interface TestClusterOptions {
  /** The oldest that is here when left out: the one with all of its client programs. */
  readonly major?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Turns archiving on. */
  readonly archiveCommand?: string;
  /** Further options of initdb. */
  readonly initdb?: readonly string[];
}

/** A real cluster of its own, started, with a database `app`. */
export interface TestCluster {
  /** Database `app` as its owner `lifeboat`: no superuser, may stream backups and read settings. */
  readonly url: string;
  /** Database `app` as the superuser. */
  readonly superuserUrl: string;
  readonly dataDirectory: string;
  /** A folder beside the data directory that the server's account may write to; removed by `stop`. */
  readonly directory: string;
  readonly port: number;
  readonly account: Account;
  readonly programs: ServerPrograms;
  /** The running server; another one after `restart`. */
  readonly server: Server;
  /** Runs one statement as the superuser; rows as objects. */
  query<Row extends pg.QueryResultRow>(sql: string, database?: string): Promise<Row[]>;
  /** Ends every process at once, as a power cut would. */
  crash(): Promise<void>;
  /** Stops it if it runs and starts it again, at another port, with these settings added. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Kills every process of the server by -9. */
  kill(): Promise<void>;
  /** Starts it again at the same port after `kill` or `crash`. */
  startAgain(): Promise<void>;
  /** Stops the server and removes everything. May be called twice. */
  stop(): Promise<void>;
}

/** The major versions whose server programs are on this machine, ascending. */
export async function availableMajors(): Promise<number[]> {
  const majors = new Set<number>();
  for await (const { major } of installations()) majors.add(major);
  return [...majors].toSorted((a, b) => a - b);
}

/** The oldest and the newest of them: for suites too long to run on each. */
export async function outermostMajors(): Promise<number[]> {
  const majors = await availableMajors();
  return [...new Set([...majors.slice(0, 1), ...majors.slice(-1)])];
}

/** Those that take incremental backups, and whose program to put them together is here: the embedded servers come without it. */
export async function combinableMajors(): Promise<number[]> {
  const found = await Promise.all(
    (await availableMajors()).map((major) =>
      findPrograms({ major, needs: ["pg_combinebackup", "pg_verifybackup"] }).then(
        () => major,
        () => 0,
      ),
    ),
  );
  return found.filter((major) => major >= 17);
}

/** Server programs of a major version that the account can run; `release` removes a copy made for it. */
async function testPrograms(account: Account, major?: number) {
  const wanted = major ?? (await availableMajors())[0];
  return reachablePrograms(await findPrograms({ major: wanted }), account);
}

/** A folder under the system's temporary one that the server's account owns. */
export async function ownedFolder(account: Account): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
  if (account.foreign) await chown(folder, account.uid, account.gid);
  return folder;
}

const LOCAL_TEST_SETTINGS = {
  // Tests kill processes, they don't cut power.
  fsync: "off",
  shared_buffers: "16MB",
  // Where it gets to a table is chance, and so is the WAL that it writes.
  autovacuum: "off",
  // `lc_messages` and the log's shape are fixed by Server itself.
  timezone: "UTC",
};

/** Makes and starts a cluster. */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const account = await serverAccount();
  const { programs, release } = await testPrograms(account, options.major);
  const directory = await ownedFolder(account);
  const dataDirectory = join(directory, "data");
  const settings = {
    ...LOCAL_TEST_SETTINGS,
    ...(options.archiveCommand === undefined
      ? {}
      : { archive_mode: "on", archive_command: options.archiveCommand }),
    ...options.settings,
  };
  const shape = { programs, account, initdb: options.initdb ?? [] };
  const password = await layCluster(shape, dataDirectory);
  let server = await startOnFreePort({ programs, account, dataDirectory, settings });
  return {
    get url() {
      return `postgres://lifeboat:${password}@127.0.0.1:${server.port}/app`;
    },
    get superuserUrl() {
      return `postgres://postgres:${password}@127.0.0.1:${server.port}/app`;
    },
    get port() {
      return server.port;
    },
    get server() {
      return server;
    },
    dataDirectory,
    directory,
    account,
    programs,
    query: (sql, database = "app") => ask(server, sql, database),
    crash: async () => server.stop("immediate"),
    restart: async (added = {}) => {
      await server.stop();
      Object.assign(settings, added);
      server = await startOnFreePort({ programs, account, dataDirectory, settings });
    },
    kill: async () => {
      if (server.pid !== undefined) await killTree(server.pid);
      await server.stop("immediate");
    },
    startAgain: async () => {
      const { port } = server;
      server = await Server.start({ programs, account, dataDirectory, settings, port });
      await server.accepting("postgres");
    },
    stop: async () => {
      await server.stop("immediate");
      await rm(directory, { recursive: true, force: true });
      await release();
    },
  };
}

/** Another folder of the cluster's account, made and empty: for a tablespace. */
export async function tablespaceFolder(cluster: TestCluster, name: string): Promise<string> {
  const folder = join(cluster.directory, name);
  await mkdir(folder);
  if (cluster.account.foreign) await chown(folder, cluster.account.uid, cluster.account.gid);
  return folder;
}

/** One statement through the server's private socket. */
export async function ask<Row extends pg.QueryResultRow>(
  server: Server,
  sql: string,
  database: string,
): Promise<Row[]> {
  const client = new pg.Client(server.clientConfig("postgres", database));
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
