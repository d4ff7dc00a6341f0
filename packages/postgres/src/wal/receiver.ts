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
import { SegmentStore, type SegmentStoreInit } from "./segment-store.ts";
import { throttledTake } from "./throttled-take.ts";

/** So much WAL may wait at the server before it is fetched, and at least one segment. */
const BURST_BYTES = 32 << 20;
/** The slot may fall behind by two bursts and what is written between two looks: that much of what it may keep. */
const KEPT_PART = 4;
/** How often the server is asked how far its WAL goes. */
const LOOK_MS = 1_000;
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
 * Brings the WAL of a running backup into the repository, through a temporary slot, so that the
 * server keeps what is needed until it is here. The slot belongs to the connection: whatever ends
 * that, a kill included, removes the slot.
 *
 * It comes in bursts of whole segments, not as it is written: a stream that waits for more is woken by each
 * commit of the product, which on a busy machine makes its commits wait for it (decision 44).
 */
export class WalReceiver {
  /** Aborted with the reason when the stream fails, so that the backup beside it need not go on. */
  readonly signal: AbortSignal;
  readonly #client: pg.Client;
  readonly #segments: SegmentStore;
  readonly #stream: Stream;
  readonly #failure = new AbortController();
  readonly #closed = new AbortController();
  /** WAL up to here is waited for. */
  #wanted: Lsn = 0n;
  #look = Promise.withResolvers<void>();
  readonly #fetching: Promise<void>;

  private constructor(
    client: pg.Client,
    stream: Stream,
    store: Omit<SegmentStoreInit, "onFailure">,
  ) {
    this.#client = client;
    this.#stream = stream;
    this.signal = this.#failure.signal;
    this.#segments = new SegmentStore({ ...store, onFailure: (reason) => this.#fail(reason) });
    // Between two looks nothing is asked, and a connection that breaks would be noticed by the next one only.
    client.connection.stream.once("close", () => this.#look.resolve());
    this.#fetching = this.#fetch().catch((cause: unknown) => this.#fail(cause));
  }

  /** Begins at the segment that is being written now: a backup started later needs none before. */
  static async start({ connection, server, folder }: ReceiverInit): Promise<WalReceiver> {
    const client = await connectForReplication(connection);
    try {
      const slot = `lifeboat_${randomBytes(6).toString("hex")}`;
      await client.query(`CREATE_REPLICATION_SLOT "${slot}" TEMPORARY PHYSICAL RESERVE_WAL`);
      const { timeline, position } = await identifySystem(client);
      const { walSegmentBytes: segmentBytes, slotKeepsBytes } = server;
      const start = segmentStart(segmentAt(position, segmentBytes), segmentBytes);
      const stream: Stream = {
        slot,
        timeline,
        segmentBytes,
        burstBytes: Math.min(BURST_BYTES, (slotKeepsBytes ?? Infinity) / KEPT_PART),
        // A commit must never wait for a backup. Where commits may wait for standbys, ours says nothing
        // of what it has, and the server keeps the WAL of the whole backup instead.
        reportsFlushed: server.synchronousStandbys === "",
        silenceMs: connection.silenceMs ?? SILENCE_MS,
      };
      return new WalReceiver(client, stream, { folder, timeline, segmentBytes, start });
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
    this.#wanted = end;
    this.#look.resolve();
    while (this.#segments.durable < end) {
      signal.throwIfAborted();
      this.signal.throwIfAborted();
      await delay(POLL_MS);
    }
  }

  /** Ends the stream and the slot, at once and whatever the state. */
  async close(): Promise<void> {
    this.#closed.abort();
    hangUp(this.#client);
    await this.#fetching;
    // What storing a segment threw has aborted `signal`, or nobody waits for it any more.
    await this.#segments.settled().catch(() => {});
  }

  async #fetch(): Promise<void> {
    const { segmentBytes, burstBytes } = this.#stream;
    while (!this.#closed.signal.aborted) {
      const { received } = this.#segments;
      if (received < this.#wanted) {
        await this.#burst(this.#wanted);
        continue;
      }
      const { position } = await identifySystem(this.#client);
      const whole = segmentStart(segmentAt(position, segmentBytes), segmentBytes);
      if (whole > received && Number(whole - received) >= burstBytes) await this.#burst(whole);
      else await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    this.#look = Promise.withResolvers();
    if (this.#segments.received < this.#wanted) return;
    const pause = delay(LOOK_MS, undefined, { signal: this.#closed.signal });
    await Promise.race([pause, this.#look.promise]).catch(() => {});
  }

  /** Streams until everything before `end` is here. It may be more: what the server sent before it heard that it is enough. */
  async #burst(end: Lsn): Promise<void> {
    const { slot, timeline, reportsFlushed, silenceMs } = this.#stream;
    const segments = this.#segments;
    const keep = throttledTake(this.#client, segments);
    const reached = Promise.withResolvers<void>();
    const silence = Promise.withResolvers<never>();
    const take = (bytes: Buffer) => {
      keep(bytes);
      if (segments.received >= end) reached.resolve();
    };
    const query = new ReceiveQuery({ slot, start: segments.received, timeline, take });
    const tell = () => {
      if (query.silentMs > silenceMs) silence.reject(silent(query.silentMs));
      const flushed = reportsFlushed ? segments.durable : 0n;
      query.sendStatus(flushed, query.silentMs > silenceMs / ASK_PART);
    };
    this.#client.query(query);
    const timer = setInterval(tell, Math.min(STATUS_INTERVAL_MS, silenceMs / ASK_PART));
    try {
      const early = query.ended.then(() => {
        throw new Error("the server ended the stream");
      });
      await Promise.race([reached.promise, early, silence.promise]);
      tell();
      query.stop();
      await Promise.race([query.ended, silence.promise]);
    } finally {
      clearInterval(timer);
    }
  }

  #fail(cause: unknown): void {
    this.#failure.abort(receiveFailure(cause));
  }
}

/** What a receiver streams, and how. */
interface Stream {
  readonly slot: string;
  readonly timeline: number;
  readonly segmentBytes: number;
  readonly burstBytes: number;
  readonly reportsFlushed: boolean;
  readonly silenceMs: number;
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
