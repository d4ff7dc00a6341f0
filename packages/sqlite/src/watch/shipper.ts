import { type DatabaseFolder, reasonOf } from "@lifeboat/core";
import { compactLog } from "../compact/compact.ts";
import { CompactionState } from "../compact/compaction-state.ts";
import { pause } from "../driver.ts";
import type { HeldFile } from "../hold/held.ts";
import type { LogPlace } from "../wal/place.ts";
import { Beside } from "./beside.ts";
import { CopyBackPace } from "./copy-back-pace.ts";
import type { FileAtRest } from "./file-at-rest.ts";
import { FrameMemory } from "./frame-memory.ts";
import type { HolderInit } from "./holding.ts";
import { Hole } from "./hole.ts";
import { type IdleLog, idleUntil } from "./idle-log.ts";
import { leftBehind } from "./left-behind.ts";
import type { WatchLimits } from "./limits.ts";
import type { NewFrames } from "./live-wal.ts";
import { besideItsOldWal } from "./old-wal.ts";
import { newSeat, PendingSegment } from "./pending-segment.ts";
import type { LineageEnd } from "./resume.ts";
import { SegmentStore } from "./segment-store.ts";
import type { ShippedDatabase } from "./shipped-database.ts";
import type { ShippingState } from "./shipping-state.ts";
import { waitFor } from "./wait-for.ts";
import { WalHolder } from "./wal-holder.ts";

/** Frames up to so many bytes are kept in memory until they are stored; what comes on top stays in the WAL. */
const MOST_IN_MEMORY = 24 << 20;

export interface ShipperInit extends Omit<HolderInit, "found" | "mayBeginAnew" | "limits"> {
  readonly folder: DatabaseFolder;
  readonly limits: WatchLimits;
  /** The WAL may have so many bytes; beyond, the lineage is given up for the app's sake. */
  readonly mostWalBytes: number;
}

/**
 * Ships one lineage of a database's log: gathers committed frames and stores them, a segment each second
 * while there are any, and copies the WAL back in between.
 */
export class Shipper implements ShippedDatabase {
  readonly #init: ShipperInit;
  readonly #holder: WalHolder;
  readonly #memory: FrameMemory;
  #store: SegmentStore;
  #pending: PendingSegment;
  /** Closed, since the WAL was begun anew or they were full, and not stored yet; oldest first. */
  readonly #closed: PendingSegment[] = [];
  /** Frames are kept from the moment on at which a backup holds what lies before them. */
  #begun = false;
  /** Aborted when nothing of it is stored any more. */
  readonly #ended = new AbortController();
  #holds = 0;
  #lastSegment: string | null = null;
  #compactAt: number;
  #compaction = new CompactionState();
  #compactionFault: string | null = null;
  readonly #copyBackPace = new CopyBackPace();
  #rest: FileAtRest | undefined;

  /** Holds nothing yet. @throws SqliteError busy, when somebody holds the database exclusively */
  constructor(init: ShipperInit) {
    this.#init = init;
    this.#memory = new FrameMemory(init.pageSize);
    this.#compactAt = performance.now() + init.limits.compactMs;
    this.#holder = new WalHolder({
      ...init,
      found: (frames, instant) => this.#gather(frames, instant),
      mayBeginAnew: () => this.#mayBeginAnew(),
    });
    this.#store = new SegmentStore(init.folder, newSeat());
    this.#pending = this.#segmentFrom(this.#holder.wal.place);
  }

  get lineage(): string {
    return this.#store.lineage;
  }

  get state(): ShippingState {
    const { fault } = this.#store;
    const unstored = this.#unstored();
    const age = unstored[0]?.ageMs;
    return {
      lineage: this.lineage,
      begun: this.#begun,
      lastSegment: this.#lastSegment,
      unshippedBytes: unstored.reduce((sum, { bytes }) => sum + bytes, 0),
      unshippedSince: age === undefined ? null : Math.round(Date.now() - age),
      backlogBytes: this.#holder.backlogBytes,
      walBytes: this.#holder.wal.fileBytes,
      gates: this.#holder.gates.summary(),
      fault,
      compactionFault: this.#compactionFault,
    };
  }

  /** Up to when it is known that nothing was committed that is not stored; null where that is not known. */
  get idle(): IdleLog | null {
    const { allReadAt } = this.#holder;
    const isAllStored = this.#unstored().every(({ isEmpty }) => isEmpty);
    if (!this.#begun || allReadAt === undefined || !isAllStored) return null;
    const { lineage } = this;
    return { lineage, number: this.#store.stored, ...idleUntil(allReadAt), rest: this.#rest };
  }

  /**
   * Takes hold of the WAL, and goes on where a lineage ended if that is given and the WAL proves that
   * nothing was lost since; otherwise the next backup begins a new one. At each try all is gathered from there.
   * @returns whether it goes on with a lineage
   * @throws SqliteError busy when a writer was at work for longer than one try takes
   */
  takeHold(end: LineageEnd | undefined): boolean {
    this.startAnew();
    this.#begun = end !== undefined;
    if (end) {
      this.#store = new SegmentStore(this.#init.folder, end.seat);
      this.#pending = this.#segmentFrom(end.place);
    }
    if (!this.#holder.takeHold(end)) this.startAnew();
    return this.#begun;
  }

  /** What is kept belongs to no backup: the next one that is taken begins another lineage. */
  startAnew(): void {
    this.#begun = false;
    for (const segment of [...this.#closed.splice(0), this.#pending]) segment.release();
    this.#compaction = new CompactionState();
    this.#store = new SegmentStore(this.#init.folder, newSeat());
    this.#pending = this.#segmentFrom(this.#holder.wal.place);
  }

  /**
   * Ships until the signal aborts, then what is left.
   * @throws Hole where the lineage cannot go on; what was gathered before is stored by then, if the storage takes it
   */
  async ship(signal: AbortSignal): Promise<void> {
    const storing = new Beside();
    try {
      await this.#shipWith(storing, AbortSignal.any([signal, this.#ended.signal]));
      this.#holder.pollToEnd();
      await this.#shipRest(storing);
      this.#rest = this.#holds === 0 ? this.#holder.settle() : undefined;
      await this.#shipRest(storing);
    } catch (thrown) {
      // First of all the app has its WAL back.
      this.#holder.close();
      if (!(thrown instanceof Hole)) throw thrown;
      await this.#shipRest(storing, true).catch(() => {});
      throw besideItsOldWal(thrown, this.#init.path, this.#holder.oldWal);
    } finally {
      this.#ended.abort();
    }
  }

  async #shipWith(storing: Beside, signal: AbortSignal): Promise<void> {
    const compacting = new Beside();
    while (!signal.aborted) {
      this.#holder.poll();
      storing.throwIfFailed();
      if (!storing.busy && this.#isDue()) storing.begin(this.#storeOldest(signal));
      if (!compacting.busy && performance.now() >= this.#compactAt)
        compacting.begin(this.#compact());
      this.#keepWalSmall();
      if (this.#holds === 0) this.#holder.makeWay();
      await waitFor(this.#init.limits.pollMs, signal);
    }
  }

  async hold(options: {
    readonly patienceMs: number;
    readonly signal: AbortSignal;
  }): Promise<HeldFile | undefined> {
    const until = performance.now() + options.patienceMs;
    do {
      options.signal.throwIfAborted();
      // One at a time: to copy back once more moves the reader by which the first one holds.
      const copied = this.#holds === 0 ? this.#holder.copyBack() : undefined;
      if (copied) {
        this.#holds += 1;
        if (!this.#begun) this.#beginAt(copied.place);
        // A run of the WAL that nothing was committed in may vanish, and no segment would know of it.
        return this.#holder.heldFile({ ...copied, place: this.#pending.end }, () => {
          this.#holds -= 1;
        });
      }
      await pause();
    } while (performance.now() < until);
    // A copy by the backup API comes next, and its place lies in what is kept from here on.
    if (!this.#begun) {
      this.#holder.poll();
      this.#beginAt(this.#holder.wal.place);
    }
    return undefined;
  }

  /** Lets go of the database. May be called twice. */
  close(): void {
    this.#holder.close();
  }

  /** The file holds all that came before: the chain starts here. */
  #beginAt(place: LogPlace): void {
    this.#pending = this.#segmentFrom(place);
    this.#begun = true;
  }

  #gather(frames: NewFrames, instant: number): void {
    if (!this.#begun) return;
    if (!this.#pending.isOpen) {
      this.#closed.push(this.#pending);
      this.#pending = this.#segmentFrom(this.#pending.end);
    }
    const kept = this.#unstored().reduce((sum, { bytesInMemory }) => sum + bytesInMemory, 0);
    this.#pending.add(frames, { instant, room: MOST_IN_MEMORY - kept });
  }

  #mayBeginAnew(): boolean {
    return !this.#unstored().some(({ needsWal }) => needsWal);
  }

  /** Oldest first. */
  #unstored(): PendingSegment[] {
    const { storing } = this.#store;
    return [...(storing ? [storing] : []), ...this.#closed, this.#pending];
  }

  #isDue(): boolean {
    if (this.#closed.length > 0) return true;
    const { needsWal, ageMs } = this.#pending;
    return ageMs !== undefined && (needsWal || ageMs >= this.#init.limits.segmentMs);
  }

  async #storeOldest(signal: AbortSignal): Promise<void> {
    const closed = this.#closed.shift();
    const segment = closed ?? this.#pending;
    if (!closed) this.#pending = this.#segmentFrom(segment.end);
    const store = this.#store;
    try {
      const name = await store.store(segment, signal);
      if (store !== this.#store) return;
      this.#lastSegment = name;
      this.#compaction.shipped(name);
    } catch (thrown) {
      // It is still to be stored: who took it for done would let the WAL go, and the log would go on behind it.
      if (store === this.#store) this.#closed.unshift(segment);
      throw thrown;
    }
  }

  /** What it cannot do now, a later call does; until then there are more objects than there need be. */
  async #compact(): Promise<void> {
    this.#compactAt = performance.now() + this.#init.limits.compactMs;
    try {
      if (this.#begun)
        await compactLog(this.#init.folder.unhurried(), this.lineage, this.#compaction);
      this.#compactionFault = null;
    } catch (thrown) {
      this.#compactionFault = reasonOf(thrown);
      this.#compaction = new CompactionState();
    }
  }

  /** Another process may be slow, or the storage: then the rest is lost, as after a kill, and known to be. */
  async #shipRest(storing: Beside, onlyFromMemory = false): Promise<void> {
    const grace = AbortSignal.timeout(this.#init.limits.graceMs);
    const rest = async () => {
      await storing.done();
      for (let [next] = this.#unstored(); next && !next.isEmpty; [next] = this.#unstored()) {
        if (onlyFromMemory && next.needsWal) return;
        await this.#storeOldest(grace);
      }
    };
    let cause: unknown;
    await Promise.race([rest(), waitFor(this.#init.limits.graceMs, grace)]).catch((thrown) => {
      cause = thrown;
    });
    const { unshippedBytes } = this.state;
    if (unshippedBytes > 0) throw leftBehind(unshippedBytes, cause);
  }

  /** @throws Hole when it has become so large that the app would be the next to suffer */
  #keepWalSmall(): void {
    const { limits, mostWalBytes } = this.#init;
    const isMuch = this.#holder.backlogBytes >= limits.checkpointBytes;
    if (this.#holds === 0 && isMuch && this.#copyBackPace.isDue)
      this.#copyBackPace.tried(this.#holder.copyBack() !== undefined);
    const bytes = this.#holder.wal.committedBytes;
    if (bytes > mostWalBytes && !this.#mayBeginAnew())
      throw new Hole(
        `the WAL has grown to ${bytes} bytes as the repository takes segments too slowly (${this.#store.fault?.reason ?? "the present one is not stored yet"})`,
      );
  }

  #segmentFrom(start: LogPlace): PendingSegment {
    const { wal } = this.#holder;
    return new PendingSegment({ ...this.#init, wal, memory: this.#memory, start });
  }
}
