import { LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { connect, hangUp, type ServerConnection } from "../../connection/connection.ts";
import { nameOf } from "../../connection/failure.ts";
import { FILE_FUNCTIONS } from "../../rights/least-privilege.ts";
import { grantMissing } from "./backup-mode.ts";
import { CopyRows } from "./copy-rows.ts";
import type { DirectoryEntry, FileSource, SourceFile } from "./file-source.ts";

/** A multiple of every page size; the server holds as much for each reader. */
const CHUNK_BYTES = 1 << 22;

const DIRECTORY_QUERY = `
  select name, s.isdir as "isDirectory", s.size::text as bytes, s.modification as modified
  from pg_ls_dir($1, true, false) name, lateral pg_stat_file($1 || '/' || name, true) s
  where s.size is not null`;
const FILE_QUERY = `
  select size::text as bytes, modification as modified from pg_stat_file($1, true)
  where size is not null`;
const STARTED_QUERY = "select pg_postmaster_start_time()::text as at";
const MODE_QUERY = "select current_setting('data_directory_mode') as mode";

/**
 * The files of a cluster through the server, by its functions of generic file access: several sessions,
 * one a reader. The role needs the right to call them (`doctor --sql` prints the lines).
 */
export class ServerFiles implements FileSource {
  readonly #idle: pg.Client[];
  readonly #waiting: ((client: pg.Client) => void)[] = [];
  readonly #clients: readonly pg.Client[];
  readonly #groupReads: boolean;

  private constructor(clients: readonly pg.Client[], groupReads: boolean) {
    this.#clients = clients;
    this.#idle = [...clients];
    this.#groupReads = groupReads;
  }

  /**
   * @param mode the session that holds the server in backup mode: every reader has to have come to the same server. Behind a
   *   name that leads to several, such as that of all standbys, another's files would be those of another instant.
   * @throws LifeboatError `SERVER_DIFFERS`; what connecting threw
   */
  static async open(
    connection: ServerConnection,
    jobs: number,
    mode?: pg.Client,
  ): Promise<ServerFiles> {
    const clients: pg.Client[] = [];
    try {
      for (let n = 0; n < jobs; n++) clients.push(await connect(connection));
      if (mode) await assertSameServer(mode, clients);
      const { rows } = await (clients[0] as pg.Client).query<{ mode: string }>(MODE_QUERY);
      return new ServerFiles(clients, Number.parseInt(rows[0]?.mode ?? "", 8) === 0o750);
    } catch (cause) {
      for (const client of clients) hangUp(client);
      throw cause;
    }
  }

  async readDirectory(path: string): Promise<readonly DirectoryEntry[]> {
    const { rows } = await this.#with((client) =>
      client.query<{ name: string; isDirectory: boolean; bytes: string; modified: Date }>(
        DIRECTORY_QUERY,
        [path === "" ? "." : path],
      ),
    );
    return rows.map(({ name, isDirectory, bytes, modified }) => ({
      name,
      modifiedMs: modified.getTime(),
      kind: isDirectory ? "directory" : "file",
      mode: this.#mode(isDirectory),
      bytes: Number(bytes),
    }));
  }

  async open(path: string): Promise<SourceFile | undefined> {
    const { rows } = await this.#with((client) =>
      client.query<{ bytes: string; modified: Date }>(FILE_QUERY, [path]),
    );
    const [found] = rows;
    if (!found) return undefined;
    const bytes = Number(found.bytes);
    return {
      bytes,
      mode: this.#mode(false),
      modified: found.modified,
      read: () => this.#chunksOf(path, bytes),
      readAt: (offset, length) => this.#readAt(path, offset, length),
      close: async () => {},
    };
  }

  async close(): Promise<void> {
    for (const client of this.#clients) hangUp(client);
  }

  async *#chunksOf(path: string, bytes: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes; ) {
      const chunk = await this.#readAt(path, at, Math.min(CHUNK_BYTES, bytes - at));
      if (chunk.length === 0) return;
      yield chunk;
      at += chunk.length;
    }
  }

  /** By COPY, whose binary rows come as bytes; as text each would be twice as long and decoded slowly. */
  async #readAt(path: string, offset: number, length: number): Promise<Buffer> {
    return this.#with(async (client) => {
      const file = `'${path.replaceAll("'", "''")}'`;
      const query = new CopyRows(
        `copy (select pg_read_binary_file(${file}, ${offset}, ${length}, true)) to stdout (format binary)`,
      );
      client.query(query);
      const [content] = await query.values;
      return content ?? Buffer.alloc(0);
    });
  }

  async #with<T>(run: (client: pg.Client) => Promise<T>): Promise<T> {
    const client =
      this.#idle.pop() ?? (await new Promise<pg.Client>((resolve) => this.#waiting.push(resolve)));
    try {
      return await run(client);
    } catch (cause) {
      throw notAllowed(cause, client.user ?? "") ?? cause;
    } finally {
      const next = this.#waiting.shift();
      if (next) next(client);
      else this.#idle.push(client);
    }
  }

  #mode(isDirectory: boolean): number {
    if (isDirectory) return this.#groupReads ? 0o750 : 0o700;
    return this.#groupReads ? 0o640 : 0o600;
  }
}

/** No two servers were started in the same microsecond. */
async function assertSameServer(mode: pg.Client, clients: readonly pg.Client[]): Promise<void> {
  const started = async (client: pg.Client) =>
    (await client.query<{ at: string }>(STARTED_QUERY)).rows[0]?.at;
  const own = await started(mode);
  for (const client of clients) if ((await started(client)) !== own) throw serverDiffers(client);
}

function serverDiffers({ host, port }: pg.Client): LifeboatError {
  return new LifeboatError({
    code: "SERVER_DIFFERS",
    message: `several servers answer at ${nameOf({ host, port })}, and the files of one backup have to be one server's`,
    remedy:
      "name one server (postgres.url, postgres.backupFrom), or take --transport wire, which reads all through one connection",
  });
}

function notAllowed(cause: unknown, user: string): LifeboatError | undefined {
  if (!(cause instanceof pg.DatabaseError) || cause.code !== "42501") return undefined;
  const role = `"${user.replaceAll('"', '""')}"`;
  const functions = FILE_FUNCTIONS.join(", ");
  const granting = `grant pg_read_server_files to ${role}; grant execute on function ${functions} to ${role}; or take --transport wire`;
  return grantMissing(cause, { user, granting });
}
