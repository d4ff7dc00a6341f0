import { setTimeout as delay } from "node:timers/promises";
import type { DatabaseFolder } from "@lifeboat/core";
import type pg from "pg";
import type { Lsn } from "./lsn.ts";
import { type NextTimeline, ReceiveQuery } from "./receive-query.ts";
import { ReceiveSeam } from "./receive-seam.ts";
import type { ReceiveStart } from "./receive-start.ts";
import { SegmentStore } from "./segment-store.ts";
import { throttledTake } from "./throttled-take.ts";

/** What is under way is shipped so often: what a crash can lose. */
const SHIP_INTERVAL_MS = 1_000;
/** How long the server may take to end a stream that we end. */
const STOP_MS = 5_000;
/** How long a server may be silent. What stands between us may hold a dead connection open for ever. */
const SILENCE_MS = 60_000;
/** After so small a part of that it is asked to answer. */
const ASK_PART = 6;

export interface StreamRequest {
  /** A WAL sender. */
  readonly client: pg.Client;
  readonly folder: DatabaseFolder;
  readonly segmentBytes: number;
  readonly slot: string;
  /** Ship, and acknowledge, at once what comes: commits wait for it. */
  readonly synchronous: boolean;
  readonly start: ReceiveStart;
  /** How long the server may be silent, although it is asked. */
  readonly silenceMs?: number | undefined;
  /** From where the server keeps WAL for the slot. */
  readonly kept: Lsn;
  /** Called with what is durable already, and when more has become so. */
  onDurable(position: Lsn): void;
  readonly signal: AbortSignal;
}

/**
 * Streams one timeline into the repository until the server leaves it, the signal aborts, or
 * something fails. What was received is shipped before it returns, and the server is told only of
 * what is durable there.
 * @returns the timeline that follows; undefined after an abort
 * @throws LifeboatError `WAL_PARTED`; what storing, or the server, threw
 */
export async function receiveStream(request: StreamRequest): Promise<NextTimeline | undefined> {
  const { client, folder, segmentBytes, slot, start, signal } = request;
  const over = new AbortController();
  const { timeline, position, shipped } = start;
  const seam = await ReceiveSeam.read(folder, start, segmentBytes);
  const segments = new SegmentStore({
    ...{ folder, timeline, segmentBytes, start: position, shipped },
    onFailure: (reason) => over.abort(reason),
  });
  let told = segments.durable;
  request.onDurable(told);
  // Whole segments are stored beside this: what became durable since is told, whoever stored it.
  const tell = () => {
    if (segments.durable <= told) return;
    told = segments.durable;
    request.onDurable(told);
  };
  const came = new Arrival();
  const keep = throttledTake(client, segments);
  let fault: unknown;
  const giveUp = (cause: unknown) => {
    fault ??= cause;
    over.abort(cause);
  };
  const take = (bytes: Buffer) => {
    if (fault !== undefined) return;
    try {
      seam.push(bytes);
    } catch (thrown) {
      return giveUp(thrown);
    }
    keep(bytes);
    came.announce();
  };
  const query = new ReceiveQuery({ slot, start: position, timeline, take });
  client.query(query);
  const ended = query.ended.finally(() => over.abort());
  ended.catch(() => {});
  const stop = AbortSignal.any([signal, over.signal]);
  // An earlier position would put the slot back, to WAL that the server may have removed already.
  const safe = () => (seam.isProved && segments.durable >= request.kept ? segments.durable : 0n);
  const ship = async () => {
    if (seam.isProved) await segments.shipPart();
    query.sendStatus(safe());
    tell();
  };
  const silenceMs = request.silenceMs ?? SILENCE_MS;
  // Beside what is shipped: a repository that takes long is no silence of the server, which is asked meanwhile.
  const listening = setInterval(
    () => {
      // It has ended the stream: what is shipped still may take as long as it likes.
      if (over.signal.aborted) return;
      const { silentMs } = query;
      if (silentMs > silenceMs) giveUp(silent(silentMs));
      else if (silentMs > silenceMs / ASK_PART) query.sendStatus(safe(), true);
    },
    Math.min(SHIP_INTERVAL_MS, silenceMs / ASK_PART),
  );
  try {
    while (!stop.aborted) {
      await ship();
      const pause = delay(SHIP_INTERVAL_MS, undefined, { signal: stop });
      await Promise.race(request.synchronous ? [pause, came.next()] : [pause]).catch(() => {});
    }
  } finally {
    clearInterval(listening);
  }
  if (fault !== undefined) throw fault;
  await ship();
  if (!signal.aborted) return ended;
  query.stop();
  await Promise.race([ended.catch(() => {}), delay(STOP_MS)]);
  return undefined;
}

function silent(milliseconds: number): Error {
  return new Error(`the server has said nothing for ${Math.round(milliseconds / 1000)} s`);
}

/** Wakes whoever waits for more. What came while nobody waited wakes the next at once. */
class Arrival {
  #waiting = Promise.withResolvers<void>();

  announce(): void {
    this.#waiting.resolve();
  }

  async next(): Promise<void> {
    await this.#waiting.promise;
    this.#waiting = Promise.withResolvers<void>();
  }
}
