/**
 * What stands in the log of a standby that its primary turned away: `FATAL:  could not receive data from WAL stream: ERROR:
 * requested WAL segment … has already been removed`. Both servers write in languages of their own; the client library between them puts
 * two blanks behind the primary's severity in every one, and the segment has no quotes.
 */
const REMOVED = /: \S+: {2}[^\d"/]*(?<![0-9A-F])([0-9A-F]{24})(?![0-9A-F])[^\d"/]*$/;
/** `restored log file "…" from archive`, with the quotes of the language, or what is left of them in a plainer encoding; and no other number. */
const RESTORED = /^\D*[^\s\w/]\s?[0-9A-F]{24}\s?[^\s\w/]\D*$/;
/** `started streaming WAL from primary at 0/C000000 on timeline 1`: one position and one number. */
const POSITION = /[0-9A-F]+\/[0-9A-F]+/g;

/**
 * The WAL segment that a standby asks its primary for and will not get there any more, as its log says last; undefined
 * where it never did, or went on since: by its archive, or by streaming.
 */
export function removedSegment(log: string): string | undefined {
  // Looks healthy from outside: it runs, it answers reads, and it is stale for ever.
  let removed: string | undefined;
  for (const line of log.split("\n")) {
    const said = line.slice(line.indexOf(":  ") + 1).trim();
    const segment = REMOVED.exec(line)?.[1];
    if (segment !== undefined) removed = segment;
    else if (RESTORED.test(said) || startsStream(said)) removed = undefined;
  }
  return removed;
}

function startsStream(said: string): boolean {
  const positions = said.match(POSITION) ?? [];
  const numbers = said.replaceAll(POSITION, "").match(/\d+/g) ?? [];
  return positions.length === 1 && numbers.length === 1;
}
