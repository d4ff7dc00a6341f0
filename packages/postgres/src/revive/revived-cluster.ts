import {
  type Extracted,
  type ExtractRequest,
  LifeboatError,
  type RevivedDatabase,
} from "@lifeboat/core";
import pg from "pg";
import { extract, extractPrograms } from "../restore/extract.ts";
import type { Server } from "../server/server.ts";
import { serverLines } from "../server/server-line.ts";
import { lsnOf } from "../wal/lsn.ts";
import { type Proof, proveDatabase, provePages } from "./prove.ts";
import { admitReader, makeReader } from "./reader-role.ts";

export interface RevivedClusterInit {
  readonly server: Server;
  readonly superuser: string;
  /** Libraries that the copy's settings preload and that this host has not. */
  readonly missingLibraries: readonly string[];
  /** The database that `query` asks when it is given none. */
  readonly database: string | undefined;
  /** `binDirectory` of the configuration. */
  readonly binDirectory?: string | undefined;
  readonly major: number;
  /** The record that a recovery to a place ends with: the server counts it as replayed, and forgets its time. */
  readonly last?: { readonly lsn: string; readonly time: string } | undefined;
  /** Gives the server's programs back. */
  release(): Promise<void>;
}

interface Recovered {
  /** Milliseconds since 1970. */
  readonly time: string | null;
  readonly lsn: string | null;
  readonly databases: readonly string[];
}

const RECOVERED_QUERY = `
  select ceil(extract(epoch from pg_last_xact_replay_timestamp()) * 1000)::text as time, pg_last_wal_replay_lsn()::text as lsn,
    array(select datname::text from pg_database where datallowconn and not datistemplate order by 1)
      as databases`;

/**
 * Rounded up to the millisecond that holds the commit, as windows are: recovering to the instant that
 * is told must bring the same commit back.
 */
function instantOf(millis: string | null): string | null {
  return millis === null ? null : new Date(Number(millis)).toISOString();
}

/** Past its place means that it was replayed. */
function withLast(
  time: string | null,
  lsn: string | null,
  last: RevivedClusterInit["last"],
): string | null {
  if (!last || lsn === null || lsnOf(lsn) <= lsnOf(last.lsn)) return time;
  return time !== null && time > last.time ? time : last.time;
}

/** A restored cluster that has recovered, on a socket that only its account and root can reach. */
export class RevivedCluster implements RevivedDatabase {
  readonly recoveredTo: string | null;
  readonly recoveredLsn: string | null;
  readonly #init: RevivedClusterInit;
  readonly #databases: readonly string[];
  readonly #usual: string;
  readonly #clients = new Map<string, Promise<pg.Client>>();
  #reader: Promise<string> | undefined;

  private constructor(init: RevivedClusterInit, { time, lsn, databases }: Recovered) {
    this.#init = init;
    this.recoveredTo = withLast(instantOf(time), lsn, init.last);
    this.recoveredLsn = lsn;
    this.#databases = databases;
    const own = databases.filter((name) => name !== "postgres");
    this.#usual = init.database ?? (own.length === 1 && own[0] ? own[0] : init.server.database);
  }

  /** Reads how far the server has come. It is stopped if that fails. */
  static async open(init: RevivedClusterInit): Promise<RevivedCluster> {
    const client = ourClient(init, init.server.database);
    try {
      await client.connect();
      const { rows } = await client.query<Recovered>(RECOVERED_QUERY);
      return new RevivedCluster(init, rows[0] ?? { time: null, lsn: null, databases: [] });
    } catch (cause) {
      await init.server.stop("immediate");
      throw cause;
    } finally {
      await client.end();
    }
  }

  /**
   * Reads every row of every table of every database, out-of-line values included, and asks for
   * page checksums that failed on the way. Names what was read; what cannot be read is not ok.
   */
  async prove(): Promise<Proof[]> {
    const proofs: Proof[] = [];
    for (const name of this.#databases) proofs.push(await this.#proveOne(name));
    proofs.push(await this.#asOurselves(this.#init.server.database, provePages));
    for (const library of this.#init.missingLibraries) proofs.push(withoutLibrary(library));
    return proofs;
  }

  async query(
    sql: string,
    database: string = this.#usual,
  ): Promise<readonly (readonly unknown[])[]> {
    const client = await this.#clientFor(database);
    const { rows } = await client.query<unknown[]>(oneStatement(sql)).catch(asReader);
    return rows;
  }

  async extract({ name, into, signal }: ExtractRequest): Promise<Extracted> {
    const { server, superuser, binDirectory, major } = this.#init;
    try {
      return await extract({
        programs: await extractPrograms(binDirectory, major),
        config: server.clientConfig(superuser, this.#usual),
        databases: this.#databases,
        usual: this.#usual,
        ask: (sql, database) => this.query(sql, database),
        askCatalog: (sql, database) =>
          this.#asOurselves(
            database,
            async (client) => (await client.query(oneStatement(sql))).rows,
          ),
        ...{ name, into, signal },
      });
    } catch (cause) {
      throw await this.#withCopy(cause);
    }
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.allSettled(clients.map(async (client) => (await client).end()));
    await this.#init.server.stop();
    await this.#init.release();
  }

  /** It has recovered, which may have taken hours: who knows how to ask it needs no second restore. */
  async #withCopy(cause: unknown): Promise<unknown> {
    if (!(cause instanceof LifeboatError)) return cause;
    const { binDirectory, server } = this.#init;
    const options = "-c archive_mode=off -c port=PORT";
    const { start } = await serverLines(server.dataDirectory, { binDirectory, options });
    const { code, kind, message, remedy, details } = cause;
    return new LifeboatError({
      ...{ code, kind, message, details, cause },
      remedy: `${remedy}; or ask the copy by hand, which has recovered and stays: ${start}`,
    });
  }

  async #proveOne(name: string): Promise<Proof> {
    const client = await connected(ourClient(this.#init, name)).catch((cause: unknown) => cause);
    if (!(client instanceof pg.Client)) return cannotEnter(name, client);
    return proveDatabase(client, name).finally(() => client.end());
  }

  async #asOurselves<T>(database: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await connected(ourClient(this.#init, database));
    return run(client).finally(() => client.end());
  }

  #clientFor(database: string): Promise<pg.Client> {
    const known = this.#clients.get(database) ?? this.#enterAsReader(database);
    this.#clients.set(database, known);
    // One that failed is no connection: the next question tries again.
    known.catch(() => this.#clients.delete(database));
    return known;
  }

  async #enterAsReader(database: string): Promise<pg.Client> {
    const { server } = this.#init;
    this.#reader ??= this.#asOurselves(this.#init.server.database, makeReader);
    const role = await this.#reader;
    await this.#asOurselves(database, (client) =>
      admitReader(client, role, server.sessionSettings),
    );
    return connected(clientOf({ ...server.clientConfig(role, database), options: CHECKS }));
  }
}

/** A check names the product's tables as the product does, and only reads. */
const CHECKS = "-c default_transaction_read_only=on -c local_preload_libraries=";
/**
 * In statements of our own a name is the server's. We are the copy's superuser, and whoever could create something in a schema on the path of the
 * original could have us run it, and with COPY TO PROGRAM any command of this host.
 */
const OURS = "-c search_path=pg_catalog -c default_transaction_read_only=off";

/** Why somebody who is used to ask as a superuser is not let. */
function asReader(cause: unknown): never {
  if (!(cause instanceof pg.DatabaseError) || cause.code !== NOT_PERMITTED) throw cause;
  throw new LifeboatError({
    code: "CHECK_NOT_PERMITTED",
    message: `${cause.message}: a check is asked as a role that reads all tables and is no superuser`,
    remedy:
      "ask something that such a role may: what the product can put in a table's place would run with its rights",
    cause,
  });
}

/** `insufficient_privilege`. */
const NOT_PERMITTED = "42501";

function ourClient({ server, superuser }: RevivedClusterInit, database: string): pg.Client {
  const config = server.clientConfig(superuser, database);
  return clientOf({ ...config, options: `${config.options} ${OURS}` });
}

function clientOf(config: pg.ClientConfig): pg.Client {
  const client = new pg.Client(config);
  // A server that ends is noticed by the next query; the event says nothing more.
  client.on("error", () => {});
  return client;
}

async function connected(client: pg.Client): Promise<pg.Client> {
  await client.connect();
  return client;
}

/** Sent by the extended protocol, which takes one statement and no more. */
function oneStatement(text: string): pg.QueryArrayConfig<unknown[]> {
  const types = { getTypeParser: (oid: number) => PARSERS[oid] ?? String };
  const extended = { queryMode: "extended" };
  return { text, rowMode: "array", types, ...extended };
}

/** Values as JSON has them: numbers where they are exact, true and false, and text for all else. */
const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  [pg.types.builtins.BOOL]: (text) => text === "t",
  [pg.types.builtins.INT2]: Number,
  [pg.types.builtins.INT4]: Number,
  [pg.types.builtins.INT8]: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text),
  [pg.types.builtins.FLOAT4]: Number,
  [pg.types.builtins.FLOAT8]: Number,
};

function cannotEnter(name: string, cause: unknown): Proof {
  const message = cause instanceof Error ? cause.message : String(cause);
  return {
    name: `tables of ${name}`,
    ok: false,
    message: `cannot connect: ${message}`,
  };
}

function withoutLibrary(library: string): Proof {
  return {
    name: `library ${library}`,
    ok: true,
    message: "is preloaded by the copy's settings, is not among this host's, and was left out",
  };
}
