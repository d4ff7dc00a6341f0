import type { LifeboatError } from "@lifeboat/core";
import { readSegment } from "../wal/archived-segment.ts";
import { isSegmentDamage, type TimelinePath } from "../wal/log-archive.ts";
import type { WalMark } from "../wal/mark.ts";
import { RecordScanner } from "../wal/record-scanner.ts";
import { segmentStart } from "../wal/segment-name.ts";
import type { Log } from "./chains.ts";
import type { LogWindow } from "./windows.ts";

export interface FoundMark<Mark extends WalMark> {
  readonly window: LogWindow;
  readonly mark: Mark;
  /** Others before it, as far as they were looked for, the newest first. */
  readonly older: readonly Mark[];
}

/** What a search through windows found, and what it could not look into. */
export interface MarkSearch<Mark extends WalMark> {
  readonly found: readonly FoundMark<Mark>[];
  /** Of each segment that could not be read. */
  readonly damage: readonly LifeboatError[];
}

/**
 * The newest mark of each window that is looked for, and lies where a backup of the window can be
 * recovered to. Segments are read from the end backwards, each once, and none before the mark.
 * @param lookBack so many segments more are read, for older ones
 */
export async function findMarks<Mark extends WalMark>(
  log: Log,
  windows: readonly LogWindow[],
  isWanted: (mark: WalMark) => mark is Mark,
  { lookBack = 0 }: { readonly lookBack?: number } = {},
): Promise<MarkSearch<Mark>> {
  const found: FoundMark<Mark>[] = [];
  const damage: LifeboatError[] = [];
  for (const window of windows) {
    const earliest = least(window.chains.map(({ base }) => base.stop));
    const wanted: Mark[] = [];
    let more = lookBack;
    for await (const marks of marksBackwards(log, window, damage)) {
      const here = marks.filter((each): each is Mark => each.lsn >= earliest && isWanted(each));
      wanted.push(...here.reverse());
      if (wanted.length > 0 && more-- === 0) break;
    }
    const [mark, ...older] = wanted;
    if (mark) found.push({ window, mark, older });
  }
  return { found, damage };
}

async function* marksBackwards(
  log: Log,
  { chains: [chain, ...more], end }: LogWindow,
  damage: LifeboatError[],
): AsyncGenerator<readonly WalMark[]> {
  const first = least([chain, ...more].map(({ base }) => base.firstSegment));
  // Behind the window's end lies what could not be read: maybe the one that is looked for.
  for (let number = chain.runEnd; number >= first; number--) {
    try {
      yield await marksOf(log, chain.path, { number, last: end.segment });
    } catch (thrown) {
      if (!isSegmentDamage(thrown)) throw thrown;
      damage.push(thrown);
    }
  }
}

/**
 * The marks of one segment, and of the record that leaves it, which may go through several: the end of a transaction with very many
 * savepoints does. Those of what begins in a segment behind it have been looked at before.
 */
async function marksOf(
  { archive }: Log,
  path: TimelinePath,
  { number, last }: { readonly number: bigint; readonly last: bigint },
): Promise<readonly WalMark[]> {
  const { folder, segmentBytes } = archive;
  const start = segmentStart(number, segmentBytes);
  const end = segmentStart(number + 1n, segmentBytes);
  const scanner = new RecordScanner({ start, segmentBytes });
  const marks: WalMark[] = [];
  for await (const chunk of readSegment(folder, path.segment(number), segmentBytes))
    marks.push(...scanner.push(chunk));
  const isOver = () => scanner.broken || !scanner.underWay || (scanner.lastRecord ?? 0n) >= end;
  try {
    for (let next = number + 1n; next <= last && !isOver(); next++)
      for await (const chunk of readSegment(folder, path.segment(next), segmentBytes)) {
        marks.push(...scanner.push(chunk));
        if (isOver()) break;
      }
  } catch (thrown) {
    // That one was found to be damaged before; what lies in front of it can be recovered to.
    if (!isSegmentDamage(thrown)) throw thrown;
  }
  return marks;
}

/** Of at least one. */
function least(numbers: readonly bigint[]): bigint {
  return numbers.toSorted((a, b) => (a < b ? -1 : 1))[0] as bigint;
}
