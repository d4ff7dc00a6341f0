import type { CompareInput } from "./compare-input.ts";
import type { Differences, UnlikeRow } from "./differences.ts";
import { columnsHere, nameDifferences } from "./find-differences.ts";
import { rowCanon } from "./row-canon.ts";
import { RowsByKey } from "./rows-by-key.ts";
import type { Unsettled } from "./settle.ts";
import { isUnreadable, type Moment, type Sides } from "./sides.ts";

/** From so many on they are looked at again while the table is still compared: a sync will have brought most. */
const CROWDED = 1000;
/** Rows that are looked up in one look: a short one on either side. */
const AT_ONCE = 500;

/** The rows in flight of a table, as they are looked at again: each until it is equal, or proved to differ. */
export class RowsInFlight implements Unsettled {
  readonly #input: CompareInput;
  readonly #sides: Sides;
  readonly #differences: Differences;
  #crowdedAt = CROWDED;

  constructor(input: CompareInput, sides: Sides, differences: Differences) {
    this.#input = input;
    this.#sides = sides;
    this.#differences = differences;
  }

  /** Makes room where they have become many, and waits longer with the next time where nothing brings them. */
  async thinOut(): Promise<void> {
    const { rows } = this.#differences.inFlight;
    if (rows.size < this.#crowdedAt) return;
    await this.settle();
    this.#crowdedAt = Math.max(CROWDED, 2 * rows.size);
  }

  async settle(): Promise<boolean> {
    const keys = [...this.#differences.inFlight.rows.keys()];
    for (let first = 0; first < keys.length; first += AT_ONCE) {
      this.#input.signal.throwIfAborted();
      await this.#lookAt(keys.slice(first, first + AT_ONCE));
    }
    return this.#differences.inFlight.rows.size === 0;
  }

  /** A key that the server can't read as its type is found by halves: no row of Postgres bears it. */
  async #lookAt(keys: readonly string[]): Promise<void> {
    try {
      await this.#sides.look((moment) => this.#compare(moment, keys, keys));
    } catch (cause) {
      if (!isUnreadable(cause)) throw cause;
      if (keys.length === 1) {
        await this.#sides.look((moment) => this.#compare(moment, keys, []));
        return;
      }
      const half = Math.ceil(keys.length / 2);
      await this.#lookAt(keys.slice(0, half));
      await this.#lookAt(keys.slice(half));
    }
  }

  async #compare(
    moment: Moment,
    keys: readonly string[],
    readable: readonly string[],
  ): Promise<void> {
    const { table } = this.#input;
    const { inFlight } = this.#differences;
    const canon = rowCanon(table);
    const rows = new RowsByKey(this.#input);
    const there = await rows.there(readable, [`md5(${canon.postgres})`]);
    const found = moment.inSqlite((written) => {
      const look = rows.here([`lifeboat_md5(${canon.sqlite})`]);
      const unlike = keys.flatMap((key): UnlikeRow[] => {
        const [mine, theirs] = [look(key)?.[0], there.get(key)?.[0]];
        if (mine === theirs) return [];
        const shown = inFlight.rows.get(key) ?? key;
        if (mine === undefined) return [{ key, shown, kind: "missing-in-sqlite" }];
        return [{ key, shown, kind: theirs === undefined ? "missing-in-postgres" : "different" }];
      });
      const isKnown = written.isKnown(table);
      const touched = written.among(
        table,
        unlike.map(({ key }) => key),
      );
      const proved = unlike.filter(({ key }) => isKnown && !touched.has(key));
      const columns = columnsHere(this.#input, proved.slice(0, this.#differences.room));
      return { unlike, proved, columns };
    });
    await nameDifferences(this.#input, found.proved, found.columns, this.#differences);
    const pending = new Set(found.unlike.map(({ key }) => key));
    for (const { key } of found.proved) pending.delete(key);
    for (const key of keys) if (!pending.has(key)) inFlight.rows.delete(key);
  }
}
