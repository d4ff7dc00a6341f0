/** A product that writes faster than the other side takes is not waited for without end. */
const MAX_ROUNDS = 200;
/** After so many looks that bring no fewer rows than one before them this is as close as it comes. */
const MAX_NO_NEARER = 20;
/** How far from the closest look the last one may be: a busy machine makes a look in a while a long one, which brings many. */
const NEAR = 2;

/**
 * Brings what waits, look after look, until one brings few rows, or none brings fewer any more: with what a busy product writes
 * during a look on a slow machine no look may ever bring few, and a freeze takes no longer than such a look.
 * @param few with fewer rows than this waiting the freeze is a matter of milliseconds
 * @param look one look; the rows that it brought
 * @returns the rows that the closest look brought
 */
export async function comeClose(few: number, look: () => Promise<number>): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  let noNearer = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const rows = await look();
    noNearer = rows < fewest ? 0 : noNearer + 1;
    fewest = Math.min(fewest, rows);
    if (rows < few || (noNearer >= MAX_NO_NEARER && rows <= NEAR * fewest)) break;
  }
  return fewest;
}
