import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type DatabaseFolder, LifeboatError, reasonOf } from "@lifeboat/core";
import type pg from "pg";
import { connectForReplication, hangUp, type ServerConnection } from "../connection/connection.ts";
import { SILENCE_MS } from "../connection/silence.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { identifySystem } from "./identify-system.ts";
import type { Lsn } from "./lsn.ts";
import { ReceiveQuery } from "./receive-query.ts";
import { segmentAt, segmentStart } from "./segment-name.ts";
import { SegmentStore } from "./segment-store.ts";
import { throttledTake } from "./throttled-take.ts";

/** The server ends a sender that is silent for `wal_sender_timeout`, a minute unless set otherwise. */
const STATUS_INTERVAL_MS = 5_000;
const POLL_MS = 25;
/** After so small a part of the time for which it may be silent the server is asked to answer. */
const ASK_PART = 4;

export interface ReceiverInit {
  readonly connection: ServerConnection;
  readonly server: ServerFacts;
  readonly folder: DatabaseFolder;
}

/**
 * Streams WAL into the repository beside a running backup, through a temporary slot, so that the
 * server keeps what is needed until it is here. The slot belongs to the connection: whatever ends
 * that, a kill included, removes the slot.
 */
export class WalReceiver {
  /** Aborted with the reason when the stream fails, so that the backup beside it need not go on. */
  readonly signal: AbortSignal;
  readonly #client: pg.Client;
  readonly #segments: SegmentStore;
  readonly #timer: NodeJS.Timeout;

  private constructor(init: {
    client: pg.Client;
    query: ReceiveQuery;
    segments: SegmentStore;
    failure: AbortController;
    reportsFlushed: boolean;
    silenceMs: number;
  }) {
    const { query, segments, failure, silenceMs } = init;
    this.#client = init.client;
    this.#segments = segments;
    this.signal = failure.signal;
    query.ended.then(
      () => failure.abort(receiveFailure(new Error("the server ended the stream"))),
      (cause: unknown) => failure.abort(receiveFailure(cause)),
    );
    const status = () => {
      const { silentMs } = query;
      if (silentMs > silenceMs) failure.abort(receiveFailure(silent(silentMs)));
      const flushed = init.reportsFlushed ? segments.durable : 0n;
      query.sendStatus(flushed, silentMs > silenceMs / ASK_PART);
    };
    this.#timer = setInterval(status, Math.min(STATUS_INTERVAL_MS, silenceMs / ASK_PART));
  }

  /** Begins at the segment that is being written now: a backup started later needs none before. */
  static async start({ connection, server, folder }: ReceiverInit): Promise<WalReceiver> {
    const client = await connectForReplication(connection);
    try {
      const slot = `lifeboat_${randomBytes(6).toString("hex")}`;
      await client.query(`CREATE_REPLICATION_SLOT "${slot}" TEMPORARY PHYSICAL RESERVE_WAL`);
      const { timeline, position } = await identifySystem(client);
      const { walSegmentBytes: segmentBytes } = server;
      const start = segmentStart(segmentAt(position, segmentBytes), segmentBytes);
      const failure = new AbortController();
      const onFailure = (reason: unknown) => failure.abort(receiveFailure(reason));
      const segments = new SegmentStore({ folder, timeline, segmentBytes, start, onFailure });
      const take = throttledTake(client, segments);
      const query = new ReceiveQuery({ slot, start, timeline, take });
      client.query(query);
      // A commit must never wait for a backup. Where commits may wait for standbys, ours says nothing
      // of what it has, and the server keeps the WAL of the whole backup instead.
      const reportsFlushed = server.synchronousStandbys === "";
      const { silenceMs = SILENCE_MS } = connection;
      return new WalReceiver({ client, query, segments, failure, reportsFlushed, silenceMs });
    } catch (cause) {
      hangUp(client);
      throw receiveFailure(cause);
    }
  }

  /**
   * Waits until everything before `end`, the first byte of a segment, is durable.
   * @throws LifeboatError `WAL_STREAM_FAILED`, or what storing a segment threw
   */
  async until(end: Lsn, signal: AbortSignal): Promise<void> {
    while (this.#segments.durable < end) {
      signal.throwIfAborted();
      this.signal.throwIfAborted();
      await delay(POLL_MS);
    }
  }

  /** Ends the stream and the slot, at once and whatever the state. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    hangUp(this.#client);
    // What storing a segment threw has aborted `signal`, or nobody waits for it any more.
    await this.#segments.settled().catch(() => {});
  }
}

function silent(milliseconds: number): Error {
  return new Error(`the server has said nothing for ${Math.round(milliseconds / 1000)} s`);
}

function receiveFailure(cause: unknown): LifeboatError {
  if (cause instanceof LifeboatError) return cause;
  return new LifeboatError({
    code: "WAL_STREAM_FAILED",
    message: `the WAL stream beside the backup failed: ${reasonOf(cause)}`,
    remedy: "see the server's log for its side, then run the backup again",
    cause,
  });
}
