import type { RestoreRequest } from "@lifeboat/core";
import type { PostgresDetails } from "../details.ts";
import { consistencyBytes } from "../wal/consistency-wal.ts";

/** Passes bytes on, counts them, and stops when it should. */
export type Through = (content: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>;

/** Counts all that a restore unpacks against what it has to unpack. */
export function restoreProgress(
  { plan, report, signal }: RestoreRequest,
  details: PostgresDetails,
): Through {
  const wal = consistencyBytes(details);
  const objects = plan.backups.flatMap((manifest) => manifest.objects);
  const totalBytes = objects.reduce((sum, { content }) => sum + content.bytes, wal);
  let bytes = 0;
  return async function* through(content) {
    for await (const chunk of content) {
      signal.throwIfAborted();
      // Whoever takes it may give its memory back.
      const { length } = chunk;
      yield chunk;
      bytes += length;
      report({ bytes, totalBytes });
    }
  };
}
