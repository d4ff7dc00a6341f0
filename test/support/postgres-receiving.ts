import { type ReceivedWal, receiveWal } from "@lifeboat/postgres";
import type { TestCluster } from "./postgres.ts";
import type { ClusterRepository } from "./postgres-repository.ts";

/** A receiver that runs in this process, and what it has said. */
export interface Receiving {
  readonly notes: readonly string[];
  readonly holes: readonly string[];
  readonly log: readonly string[];
  readonly durable: bigint;
  /** Resolves when it has ended. */
  stop(): Promise<ReceivedWal>;
}

export function startReceiving(
  { superuserUrl }: Pick<TestCluster, "superuserUrl">,
  { folder }: Pick<ClusterRepository, "folder">,
  silenceMs?: number,
): Receiving {
  const controller = new AbortController();
  const state = { notes: [] as string[], holes: [] as string[], log: [] as string[], durable: 0n };
  const done = receiveWal({
    connection: { url: superuserUrl },
    folder,
    silenceMs,
    report: ({ note }) => void (note && state.notes.push(note)),
    log: (line) => void state.log.push(line),
    onDurable: (position) => {
      state.durable = position;
    },
    onHole: (message) => void state.holes.push(message),
    signal: controller.signal,
  });
  done.catch(() => {});
  const stop = async () => {
    controller.abort();
    return done;
  };
  return Object.assign(state, { stop });
}
