import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import { parseConnectionUrl, type ServerConnection, withClient } from "../connection/connection.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { PackedBytes } from "../packed/bytes.ts";
import { findPrograms, programPath } from "../server/programs.ts";
import { ArchiveProof } from "./archive-proof.ts";
import { walRangeOf } from "./backup-manifest.ts";
import { oneLine, rateInKilobytes } from "./base-backup-command.ts";
import { baseBackupFailure } from "./base-backup-failure.ts";
import { namedPages } from "./corrupt-page.ts";
import { KEEP_ALIVE, libpqEnvironment } from "./libpq-environment.ts";
import type { BaseBackup, BaseBackupRequest, Transport } from "./transport.ts";

/** What the program says itself, always in English. All else is passed on from the server, in that one's language. */
const OWN = /^pg_basebackup: /;
/** Said after a minute, and each time twice as late: the only number in such a line is that of the seconds. */
const WAITED_S = 60;
/** The same words in every language: the view's own. */
const WAITING_QUERY =
  "select from pg_stat_progress_basebackup where phase = 'waiting for wal archiving to finish'";
const REPORT_BYTES = 1 << 20;
/** It ends with this and a status of failure, having written everything. */
const CORRUPT = /^pg_basebackup: error: checksum error occurred/;
/** How long it may take to end when told to. */
const GRACE_MS = 5_000;

/**
 * The server's own client. It writes one tar to standard output, its manifest inside, so it can take
 * only clusters without further tablespaces; and it has to be of the server's own major version.
 */
export const pgBasebackupTransport: Transport = {
  name: "pg_basebackup",

  async takeBaseBackup(request: BaseBackupRequest): Promise<BaseBackup> {
    if (request.parentManifest) throw noIncremental();
    if (request.server.tablespaces.length > 0) throw severalTablespaces(request.server);
    const program = await clientProgram(request.connection, request.server);
    request.signal.throwIfAborted();
    const child = execa(program, argumentsOf(request), {
      buffer: false,
      stdin: "ignore",
      cancelSignal: request.signal,
      forceKillAfterDelay: GRACE_MS,
      env: libpqEnvironment(parseConnectionUrl(request.connection.url)),
    });
    // Whoever does not read at once loses what comes first: execa sets a stream flowing that nobody
    // has taken by the next turn, and a repository needs longer to open its object.
    child.stdout.pause();
    let stalled = false;
    const complaints = linesOf(child.stderr, async (line) => {
      if (stalled || !mayWait(line) || !(await waitsForArchiver(request.connection))) return;
      stalled = true;
      child.kill();
    });
    const proof = new ArchiveProof();
    const content = metered(child.stdout, request);
    const stored = request.archive(proof.watching({ tablespace: null, part: null, content }));
    try {
      await Promise.all([child, stored]);
    } catch (cause) {
      child.kill();
      const [, storing] = await Promise.allSettled([child, stored]);
      request.signal.throwIfAborted();
      const lines = await complaints;
      if (stalled) throw archiverStalled();
      if (storing.status === "rejected" || !lines.some((line) => CORRUPT.test(line)))
        throw programFailure(cause, lines);
      return { ...provedBackup(proof), corruptPages: namedPages(lines) };
    }
    return provedBackup(proof);
  },
};

/** Finds pg_basebackup of the server's major version. */
export async function clientProgram(
  connection: ServerConnection,
  server: ServerFacts,
): Promise<string> {
  const programs = await findPrograms({
    binDirectory: connection.binDirectory,
    major: server.major,
    needs: ["pg_basebackup"],
  });
  return programPath(programs, "pg_basebackup");
}

function argumentsOf(request: BaseBackupRequest): string[] {
  const rate = request.maxRate === null ? [] : [`--max-rate=${rateInKilobytes(request.maxRate)}k`];
  return [
    "--pgdata=-",
    `--dbname=${KEEP_ALIVE}`,
    "--format=tar",
    "--wal-method=none",
    "--checkpoint=fast",
    "--no-password",
    `--label=${oneLine(request.label)}`,
    ...rate,
  ];
}

async function* metered(
  content: AsyncIterable<Uint8Array>,
  { report }: BaseBackupRequest,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let reported = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes - reported >= REPORT_BYTES) {
      reported = bytes;
      report({ bytes });
    }
    yield chunk;
  }
  report({ bytes });
}

function provedBackup(proof: ArchiveProof): BaseBackup {
  const manifest = proof.manifest ?? new PackedBytes();
  const { timeline, start, end } = walRangeOf(manifest);
  proof.assertHolds(manifest);
  return {
    startLsn: start,
    stopLsn: end,
    timeline,
    manifest,
    manifestInArchive: true,
    corruptPages: [],
  };
}

/** What the program wrote to standard error, once it has ended. */
async function linesOf(stream: Readable, heard: (line: string) => Promise<void>) {
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream })) {
    if (line.trim() !== "") lines.push(line);
    await heard(line);
  }
  return lines;
}

function mayWait(line: string): boolean {
  const numbers = OWN.test(line) ? [] : (line.match(/\d+/g) ?? []);
  return numbers.length === 1 && Number(numbers[0]) >= WAITED_S;
}

/**
 * Without WAL the program waits for the archiver, and would for ever; the server says so after a minute, and then it is
 * given up. A server that cannot be asked now is asked at its next such line.
 */
async function waitsForArchiver(connection: ServerConnection): Promise<boolean> {
  return withClient(connection, async (client) => {
    const { rows } = await client.query(WAITING_QUERY);
    return rows.length > 0;
  }).catch(() => false);
}

function programFailure(cause: unknown, lines: readonly string[]): LifeboatError {
  if (cause instanceof LifeboatError) return cause;
  const said = lines.findLast((line) => line.startsWith("pg_basebackup: error:")) ?? lines.at(-1);
  const reason = said?.replace(/^pg_basebackup: error: /, "");
  return baseBackupFailure(reason === undefined ? cause : new Error(reason, { cause }), lines);
}

function archiverStalled(): LifeboatError {
  return new LifeboatError({
    code: "ARCHIVER_STALLED",
    message: "pg_basebackup waited a minute for the archiver, which does not get on",
    remedy:
      "select * from pg_stat_archiver shows why; --transport wire --wal stream needs no archiver",
  });
}

/** It could, from a file that holds the parent's manifest; the wire needs none. */
function noIncremental(): LifeboatError {
  return new LifeboatError({
    code: "TRANSPORT_UNFIT",
    kind: "usage",
    message: "an incremental base backup is not taken through pg_basebackup",
    remedy: "leave --transport out, or take --transport wire",
  });
}

function severalTablespaces(server: ServerFacts): LifeboatError {
  return new LifeboatError({
    code: "TRANSPORT_UNFIT",
    kind: "usage",
    message: `pg_basebackup writes no more than one tablespace to standard output, and this cluster has ${server.tablespaces.length} besides its own`,
    remedy: "leave --transport out, or take --transport wire",
  });
}
