import type pg from "pg";

/** How long a server that owes an answer may say nothing before it is asked, on another connection, what it does. */
export const SILENCE_MS = 60_000;
/** So many times in a row nobody may answer there, either. */
const MOST_UNANSWERED = 2;

/**
 * What a server says of the process behind a connection.
 * - `working`: it has reasons of its own to be silent, such as a checkpoint
 * - `lost`: it waits for us, or is gone: what it says does not arrive, or what we said has not
 * - `unknown`: a pooler is in between, or it may not be asked
 */
export type Backend = "working" | "lost" | "unknown";

/** What `pg` knows of its connection and its types do not name. */
interface Watched {
  readonly processID: number | null;
  readonly readyForQuery: boolean;
}

export interface SilenceWatch {
  readonly silenceMs: number;
  /** Asks the server, on a connection of its own; undefined when nobody answers. */
  ask(pid: number): Promise<Backend | undefined>;
}

/**
 * Ends a connection on which nothing comes although an answer is owed, and of which the server says that it is not at
 * work on it: what stands between us (a firewall that forgot the connection, a proxy that hangs) may hold it open for
 * ever, and acknowledge every probe of the system. Whoever waits on it fails as by a connection that was cut.
 */
export function watchSilence(client: pg.Client, { silenceMs, ask }: SilenceWatch): void {
  const socket = client.connection.stream;
  const { processID: pid } = client as pg.Client & Watched;
  if (pid === null) return;
  let moved = progressOf(socket);
  let since = performance.now();
  let unanswered = 0;
  let asking = false;
  const look = async () => {
    const now = progressOf(socket);
    const isOwed = !(client as pg.Client & Watched).readyForQuery && !socket.isPaused();
    if (now !== moved || !isOwed) {
      moved = now;
      since = performance.now();
      unanswered = 0;
    } else if (performance.now() - since > silenceMs) {
      const found = await ask(pid);
      unanswered = found === undefined ? unanswered + 1 : 0;
      // What came while we asked is an answer as well.
      if (progressOf(socket) !== moved) return;
      if (found === "lost" || unanswered >= MOST_UNANSWERED)
        socket.destroy(silent(performance.now() - since));
    }
  };
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    void look().finally(() => {
      asking = false;
    });
  }, silenceMs / 4);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}

/** Bytes that came, and bytes that the system took from us. */
function progressOf(socket: pg.Connection["stream"]): number {
  const { bytesRead = 0, bytesWritten = 0 } = socket as {
    bytesRead?: number;
    bytesWritten?: number;
  };
  return bytesRead + bytesWritten - socket.writableLength;
}

function silent(milliseconds: number): Error {
  const seconds = Math.round(milliseconds / 1000);
  return Object.assign(
    new Error(
      `nothing has come for ${seconds} s, and the server is not at work on an answer: something between us holds the connection open`,
    ),
    { code: "ETIMEDOUT" },
  );
}

/**
 * For a session that waits for its client the server is done, or has not heard us. Whether the process that we ask is
 * the one that we talk to tells whether a pooler is in between, whose numbers mean nothing.
 */
export const BACKEND_QUERY = `
  select pg_backend_pid() = $2 as direct,
         (select coalesce(wait_event, '') from pg_stat_activity where pid = $1) as waits`;

export function backendOf(row: { direct: boolean; waits: string | null } | undefined): Backend {
  if (!row?.direct) return "unknown";
  if (row.waits === null || row.waits === "ClientWrite" || row.waits === "ClientRead")
    return "lost";
  return "working";
}
