import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import pg from "pg";
import { type Account, runAs } from "../files/account.ts";
import { localeOfSettings, localeRefusal } from "./missing-locale.ts";
import { programPath, type ServerPrograms } from "./programs.ts";
import { Scratch } from "./scratch.ts";
import { ServerLog } from "./server-log.ts";

export interface ServerInit {
  readonly programs: ServerPrograms;
  readonly account: Account;
  readonly dataDirectory: string;
  /** Settings over those of the data directory's own files. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Listen on 127.0.0.1 at this port as well; only the private socket when left out. */
  readonly port?: number;
  /** All that it says is written there as well, behind what stands there. */
  readonly logFile?: string | undefined;
  /** Holds the socket, and is removed when the server has stopped. Made when left out. */
  readonly scratch?: Scratch;
}

/** Name of the socket's file, `.s.PGSQL.5432`, when no TCP port is asked for. In a folder of its own it meets no other. */
const SOCKET_PORT = 5432;

/** Bounds for stopping: a fast shutdown writes a checkpoint, an immediate one only ends processes. */
const FAST_SHUTDOWN_MS = 60_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;

/**
 * A server of our own: `postgres` itself as our child, so that its end is seen at once and `pg_ctl`,
 * whose exit status says little about recovery, is not needed. It listens on a socket in a folder
 * that only its account can enter. It ends with this process, even by kill -9.
 */
export class Server {
  readonly dataDirectory: string;
  readonly port: number;
  readonly log = new ServerLog();
  /** Resolves when the process has ended and its log is read. */
  readonly ended: Promise<void>;
  readonly #process: ReturnType<typeof spawnServer>;
  readonly #scratch: Scratch;
  /** What a session begins with, whatever its database or role is set to. */
  readonly sessionSettings: Readonly<Record<string, string>>;
  #running = true;
  #database = "postgres";

  private constructor(init: ServerInit, scratch: Scratch) {
    this.dataDirectory = init.dataDirectory;
    this.port = init.port ?? SOCKET_PORT;
    this.#scratch = scratch;
    this.sessionSettings = sessionSettings(init.programs.major);
    if (init.logFile !== undefined) this.log.copyTo(init.logFile);
    this.#process = spawnServer(init, scratch.path, this.port);
    if (this.#process.pid !== undefined) scratch.watchdog.guard(this.#process.pid);
    this.ended = this.#follow();
  }

  /** Starts the process. Wait for {@link accepting} before connecting. */
  static async start(init: ServerInit): Promise<Server> {
    return new Server(init, init.scratch ?? (await Scratch.make(init.account)));
  }

  get running(): boolean {
    return this.#running;
  }

  /** Where to ask about the whole cluster: `postgres`, or `template1` where that was dropped, or lets nobody in. Known once it is {@link accepting}. */
  get database(): string {
    return this.#database;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get socketDirectory(): string {
    return this.#scratch.path;
  }

  /** How a superuser reaches it by its private socket. */
  clientConfig(user: string, database: string): pg.ClientConfig {
    const { socketDirectory: host, port } = this;
    const settings = Object.entries(this.sessionSettings);
    const options = settings.map(([name, value]) => `-c ${name}=${value}`).join(" ");
    return { host, port, user, database, ssl: false, options, connectionTimeoutMillis: 30_000 };
  }

  /**
   * Resolves when clients are let in: asked by SQL, since a server says "ready" in other ways long
   * before. One that is still in recovery (with `hot_standby` off) lets nobody in.
   * @throws LifeboatError `SERVER_ENDED` with its own words when it ends before; `LOCALE_MISSING`
   */
  async accepting(user: string, signal?: AbortSignal): Promise<void> {
    let pause = 10;
    while (!(await this.#lets(user))) {
      signal?.throwIfAborted();
      await Promise.race([delay(pause), this.ended]);
      if (!this.#running) throw serverEnded(this);
      pause = Math.min(250, pause * 1.5);
    }
  }

  /** Stops it, fast and if need be by force, and removes its scratch folder. May be called twice. */
  async stop(mode: "fast" | "immediate" = "fast"): Promise<void> {
    if (mode === "fast") await this.#end("SIGINT", FAST_SHUTDOWN_MS);
    await this.#end("SIGQUIT", IMMEDIATE_SHUTDOWN_MS);
    await this.#end("SIGKILL", IMMEDIATE_SHUTDOWN_MS);
    await this.#scratch.remove();
  }

  async #end(signal: NodeJS.Signals, bound: number): Promise<void> {
    if (!this.#running) return;
    this.#process.kill(signal);
    const waiting = new AbortController();
    // The delay rejects when it is called off below, and for nothing else.
    await Promise.race([
      this.ended,
      delay(bound, undefined, { signal: waiting.signal }).catch(() => {}),
    ]);
    waiting.abort();
  }

  async #lets(user: string): Promise<boolean> {
    // Class 28 (no such role), 3D (no such database), 55000 (one that was closed by ALTER DATABASE), and 42501 (a role that is no
    // superuser and may not set our options) come from a server that is open.
    const refusal = await this.#refusal(user);
    const missing = localeRefusal(refusal, this.dataDirectory);
    if (missing) throw missing;
    const code = refusal?.code ?? "";
    if (/^(3D000|55000)$/.test(code) && this.#database !== "template1") {
      this.#database = "template1";
      return this.#lets(user);
    }
    return refusal === undefined || /^(28|3D|42501|55000)/.test(code);
  }

  /** Whether a role of this name may enter. */
  async knows(user: string): Promise<boolean> {
    return (await this.#refusal(user)) === undefined;
  }

  /** With what a client is turned away; undefined when it is let in. */
  async #refusal(user: string): Promise<(Error & { code?: string }) | undefined> {
    const client = new pg.Client(this.clientConfig(user, this.#database));
    // A connection that breaks after it was made is reported again, by an event.
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return undefined;
    } catch (cause) {
      return cause as Error & { code?: string };
    }
  }

  async #follow(): Promise<void> {
    const lines = createInterface({ input: this.#process.stderr });
    await Promise.all([this.log.follow(lines), this.#process]);
    this.#running = false;
    this.#scratch.watchdog.release();
  }
}

/**
 * What ALTER DATABASE and ALTER ROLE can set past the command line: libraries that each session would
 * load, triggers of its login, leave to read damaged pages as if they were whole, and bounds on how
 * long the product may take, which are none for reading whole tables.
 */
function sessionSettings(major: number): Record<string, string> {
  return {
    session_preload_libraries: "",
    local_preload_libraries: "",
    zero_damaged_pages: "off",
    ignore_checksum_failure: "off",
    statement_timeout: "0",
    lock_timeout: "0",
    idle_session_timeout: "0",
    idle_in_transaction_session_timeout: "0",
    ...(major >= 17 ? { event_triggers: "off", transaction_timeout: "0" } : {}),
  };
}

function spawnServer(init: ServerInit, socketDirectory: string, port: number) {
  const settings: Record<string, string> = {
    listen_addresses: init.port === undefined ? "" : "127.0.0.1",
    port: String(port),
    unix_socket_directories: `"${socketDirectory}"`,
    unix_socket_permissions: "0700",
    unix_socket_group: "",
    external_pid_file: "",
    // In the copy's own files it would win over -D, and open the original.
    data_directory: init.dataDirectory,
    // The log comes to us: on standard error, untranslated, nothing in front.
    logging_collector: "off",
    log_destination: "stderr",
    log_line_prefix: "",
    lc_messages: "C",
    ...init.settings,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  // A session of its own: Ctrl-C in a terminal reaches us, and we stop the server in order.
  return execa(programPath(init.programs, "postgres"), ["-D", init.dataDirectory, ...options], {
    ...runAs(init.account),
    detached: true,
    cleanup: false,
    reject: false,
    buffer: false,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
}

/** A server that ended when it should not have. */
export function serverEnded(server: Server): LifeboatError {
  const missing = localeOfSettings(server.log.lines(), server.dataDirectory);
  if (missing) return missing;
  return new LifeboatError({
    code: "SERVER_ENDED",
    message: `the server on ${server.dataDirectory} ended: ${server.log.reason()}`,
    remedy: "the reason is in its words above; nothing is left running",
    details: { dataDirectory: server.dataDirectory, log: server.log.lines().slice(-20) },
  });
}
