import type pg from "pg";
import type { SegmentStore } from "./segment-store.ts";

/** So many whole segments may wait for the repository before the server is made to wait. */
const MOST_PENDING = 2;

/** While too many segments wait for the repository, the server waits to send. */
export function throttledTake(client: pg.Client, segments: SegmentStore): (bytes: Buffer) => void {
  const socket = client.connection.stream;
  return (bytes) => {
    segments.take(bytes);
    if (segments.pending < MOST_PENDING || socket.isPaused()) return;
    socket.pause();
    void segments
      .settled()
      .catch(() => {})
      .finally(() => socket.resume());
  };
}
