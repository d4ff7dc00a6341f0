/** Looks healthy from outside: it runs, it answers reads, and it is stale for ever. */
const REMOVED = /requested WAL segment (\S+) has already been removed/g;
const RESTORED =
  /restored log file "[0-9A-F]{24}" from archive|started streaming WAL from primary/g;

/**
 * The WAL segment that a standby asks its primary for and will not get there any more, as its log says last; undefined
 * where it never did, or went on since: by its archive, or by streaming.
 */
export function removedSegment(log: string): string | undefined {
  const removed = [...log.matchAll(REMOVED)].at(-1);
  if (!removed) return undefined;
  const went = [...log.matchAll(RESTORED)].at(-1);
  return went && went.index > removed.index ? undefined : removed[1];
}
