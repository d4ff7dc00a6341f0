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
  let parted: unknown;
  const take = (bytes: Buffer) => {
    if (parted !== undefined) return;
    try {
      seam.push(bytes);
    } catch (thrown) {
      parted = thrown;
      return over.abort(thrown);
    }
    keep(bytes);
    came.announce();
  };
  const query = new ReceiveQuery({ slot, start: position, timeline, take });
  client.query(query);
  const ended = query.ended.finally(() => over.abort());
  ended.catch(() => {});
  const stop = AbortSignal.any([signal, over.signal]);
  const silenceMs = request.silenceMs ?? SILENCE_MS;
  while (!stop.aborted) {
    await ship(request, { segments, query, seam });
    tell();
    if (query.silentMs > silenceMs)
      throw new Error(`the server has said nothing for ${Math.round(query.silentMs / 1000)} s`);
    const pause = delay(SHIP_INTERVAL_MS, undefined, { signal: stop });
    await Promise.race(request.synchronous ? [pause, came.next()] : [pause]).catch(() => {});
  }
  if (parted !== undefined) throw parted;
  await ship(request, { segments, query, seam });
  tell();
  if (!signal.aborted) return ended;
  query.stop();
  await Promise.race([ended.catch(() => {}), delay(STOP_MS)]);
  return undefined;
}

async function ship(
  { kept, silenceMs }: StreamRequest,
  stream: {
    readonly segments: SegmentStore;
    readonly query: ReceiveQuery;
    readonly seam: ReceiveSeam;
  },
): Promise<void> {
  const { segments, query, seam } = stream;
  if (seam.isProved) await segments.shipPart();
  // An earlier position would put the slot back, to WAL that the server may have removed already.
  const ask = query.silentMs > (silenceMs ?? SILENCE_MS) / ASK_PART;
  query.sendStatus(seam.isProved && segments.durable >= kept ? segments.durable : 0n, ask);
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
