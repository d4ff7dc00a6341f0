import { OutageLog, reasonOf, type WatchRequest } from "@lifeboat/core";
import type { ConfiguredDatabase } from "../configured-database.ts";
import type { Examined } from "../examine/examine.ts";
import { roomAt } from "../examine/file-system.ts";
import { databaseFailure } from "../failures.ts";
import { hasWalResetFix } from "../hold/pin.ts";
import { lineageOf } from "../log/order.ts";
import { baseType } from "./base-type.ts";
import { Claim } from "./claim.ts";
import { countedStorage, type RequestCounts } from "./counted-storage.ts";
import { fileAt } from "./file-at.ts";
import { holdSocket } from "./hold-elsewhere.ts";
import { HoldServer } from "./hold-server.ts";
import { Hole, isForeignSegment } from "./hole.ts";
import type { IdleLog } from "./idle-log.ts";
import { notBegunAnew } from "./left-behind.ts";
import type { WatchLimits } from "./limits.ts";
import { keptWord, lastOf, newestLineageEnd, withRest } from "./resume.ts";
import type { ShippedDatabase } from "./shipped-database.ts";
import { Shipper } from "./shipper.ts";
import type { ShippingState } from "./shipping-state.ts";
import { isReplacedMeanwhile, SourceFile, type Waiting } from "./source-file.ts";
import { longAfter, waitFor } from "./wait-for.ts";
import { factsOfShipping, type WatchExtras, type WatchFacts } from "./watch-facts.ts";
import { type LockedOut, whileLocked } from "./while-locked.ts";

const NOTE_EVERY_MS = 1000;
const LOOK_AGAIN_MS = 1000;
const FIRST_RETRY_MS = 1000;
const AFTER_HOLE_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
const HOLES_SHOWN = 10;
/** A segment is due each second; a storage that says nothing for so long hangs. */
const SILENT_MS = 60_000;

export interface WatchContext {
  readonly limits: WatchLimits;
  /** Where those who back this database up in this process find who holds it. */
  readonly shipping: Map<string, ShippedDatabase>;
  /** Of this account alone: where those in others find it. Left out: they do not. */
  readonly directory: string | undefined;
}

/**
 * Ships a database's log until the signal aborts: takes hold of its WAL, goes on with its lineage or
 * begins a new one with a backup, and begins anew wherever something was lost.
 * @throws LifeboatError where the database is none that can be backed up
 */
export async function watchDatabase(
  database: ConfiguredDatabase,
  request: WatchRequest,
  context: WatchContext,
): Promise<void> {
  const { signal } = request;
  const watch = new DatabaseWatch(database, request, context);
  try {
    while (!signal.aborted) await watch.run();
  } catch (thrown) {
    // Whoever was told to stop while it began has nothing to ship yet.
    if (!signal.aborted || thrown !== signal.reason) throw databaseFailure(database.path, thrown);
  } finally {
    await watch.close();
  }
}

class DatabaseWatch {
  readonly #database: ConfiguredDatabase;
  readonly #request: WatchRequest;
  readonly #context: WatchContext;
  readonly #counts: Readonly<RequestCounts>;
  readonly #folder: WatchRequest["folder"];
  readonly #source: SourceFile;
  readonly #holes: string[] = [];
  /** Not after a hole: something was committed behind the end of the newest lineage and is lost. */
  #mayGoOn = true;
  #noted = "";
  #backupFault: string | null = null;
  readonly #outage: OutageLog;
  /** What was lost while nothing could be shipped. */
  #loss: string | undefined;
  #mostWalBytes = 0;
  /** The lineage has a backup to start from: the repository takes what it is given. */
  #isBased = false;
  #fallbacks = 0;

  constructor(database: ConfiguredDatabase, request: WatchRequest, context: WatchContext) {
    this.#database = database;
    this.#source = new SourceFile(database.path);
    this.#request = request;
    this.#context = context;
    const { storage, counts } = countedStorage(request.folder.storage);
    this.#folder = request.folder.over(storage);
    this.#counts = counts;
    this.#outage = new OutageLog(request.folder.database, request.log);
  }

  /** From taking hold until the signal, or until a hole makes it necessary to begin anew. */
  async run(): Promise<void> {
    const { signal } = this.#request;
    const examined = await this.#source.look();
    if ("reason" in examined) return this.#wait(examined);
    await this.#source.close();
    await this.#shipFrom(examined).catch((thrown) => {
      if (!isReplacedMeanwhile(examined, thrown)) throw thrown;
    });
    // Whatever made the hole is given a moment to be over.
    await waitFor(AFTER_HOLE_MS, signal);
  }

  /** Claims the file for no longer than it is open: once it is gone another one may have its number. */
  async #shipFrom(examined: Examined): Promise<void> {
    await using _ = await Claim.take(examined.path, { ...this.#context, folder: this.#folder });
    const shipper = await this.#shipperOf(examined);
    let others: HoldServer | undefined;
    try {
      await this.#takeHold(shipper);
      others = await this.#letOthersAsk(shipper, examined);
      await this.#ship(shipper);
    } catch (thrown) {
      if (!(thrown instanceof Hole) && !isForeignSegment(thrown)) throw thrown;
      this.#holed(reasonOf(thrown));
      this.#mayGoOn = false;
    } finally {
      this.#context.shipping.delete(this.#database.name);
      shipper.close();
      await others?.close();
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async #wait(why: Waiting): Promise<void> {
    if (!this.#mayGoOn) this.#loss ??= "what was committed meanwhile";
    this.#outage.failing({ ...why, meanwhile: "it is looked for again each second" });
    await this.#note({ state: "waiting", ...why });
    await waitFor(LOOK_AGAIN_MS, this.#request.signal);
  }

  #whileLocked<T>(attempt: () => T): Promise<T> {
    const { signal } = this.#request;
    const tell = async ({ meanwhile, ...why }: LockedOut) => {
      this.#outage.failing({ ...why, meanwhile });
      const kept = await keptWord(this.#folder, this.#context.directory);
      await this.#note({ ...kept, state: "waiting", ...why });
    };
    return whileLocked(this.#database.path, { signal, attempt, tell });
  }

  async #shipperOf({ path, header }: Examined): Promise<Shipper> {
    const { limits } = this.#context;
    const { freeBytes } = await roomAt(path);
    return this.#whileLocked(() => {
      const { pageSize, sqliteVersion } = header;
      const checkpointFreely = hasWalResetFix(sqliteVersion);
      const mostWalBytes = Math.round(limits.walBytes ?? freeBytes / 4);
      this.#mostWalBytes = mostWalBytes;
      return new Shipper({
        path,
        configured: this.#database.path,
        pageSize,
        checkpointFreely,
        limits,
        mostWalBytes,
        folder: this.#folder,
      });
    });
  }

  async #takeHold(shipper: Shipper): Promise<void> {
    const known = this.#mayGoOn
      ? await newestLineageEnd(this.#folder, await this.#request.backups())
      : undefined;
    const end = known && (await withRest(known, this.#folder, this.#context.directory));
    const resumed = await this.#whileLocked(() => shipper.takeHold(end));
    if (end && !resumed)
      this.#holed(`the WAL does not prove that nothing was lost since ${lastOf(end)}`);
    this.#context.shipping.set(this.#database.name, shipper);
  }

  /** That nobody can ask is no reason not to ship. */
  async #letOthersAsk(shipper: Shipper, { path }: Examined): Promise<HoldServer | undefined> {
    const { directory, limits } = this.#context;
    if (directory === undefined) return undefined;
    try {
      const { freeBytes } = await roomAt(path);
      return await HoldServer.open({
        path: holdSocket(directory, this.#request.folder),
        shipped: shipper,
        // Where it is gone nobody takes the held file for his own.
        identity: () => fileAt(path) ?? "gone",
        idle: () => shipper.idle,
        walBytes: () => shipper.state.walBytes,
        mostGrowth: limits.walBytes ?? freeBytes / 4,
      });
    } catch (thrown) {
      this.#request.report({ note: `backups cannot ask this watch: ${reasonOf(thrown)}` });
      return undefined;
    }
  }

  async #ship(shipper: Shipper): Promise<void> {
    const { signal } = this.#request;
    const ended = new AbortController();
    const beside = AbortSignal.any([signal, ended.signal]);
    const besides = [this.#keepBegun(shipper, beside), this.#keepNoting(shipper, beside)];
    const outOfTime = longAfter(signal, this.#context.limits.graceMs);
    let idle: IdleLog | null = null;
    try {
      await shipper.ship(signal);
      idle = shipper.idle;
    } finally {
      ended.abort();
      // A backup whose storage hangs does not keep a watch from ending that was told to.
      await Promise.race([Promise.all(besides), outOfTime]);
      const facts = factsOfShipping(shipper.state, this.#counts, this.#extras());
      await this.#note({ ...facts, idle });
    }
    const hole = this.#holes.at(-1);
    if (hole !== undefined && !shipper.state.begun) throw notBegunAnew(hole);
  }

  #holed(reason: string): void {
    this.#holes.push(`${new Date().toISOString()} ${reason}`);
    if (this.#outage.isOut) this.#loss = reason;
    this.#request.log(
      `${this.#database.name}: the log has a hole: ${reason}; it begins anew with a backup`,
    );
  }

  /** Takes the backup that a lineage begins with, and another one where that did not succeed. */
  async #keepBegun(shipper: Shipper, signal: AbortSignal): Promise<void> {
    this.#isBased = shipper.state.begun;
    if (this.#isBased) return;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
      try {
        const manifest = await this.#request.backup(baseType(await this.#request.backups()));
        this.#backupFault = null;
        if (manifest.details.way === "backup-api") this.#fallbacks += 1;
        this.#isBased = shipper.state.begun && lineageOf(manifest) === shipper.lineage;
        if (this.#isBased) return;
        this.#backupFault = "an old reader, or a full disk, keeps the file from being held still";
      } catch (thrown) {
        if (signal.aborted) return;
        this.#backupFault = reasonOf(thrown);
      }
      // What was shipped meanwhile has no backup to start from.
      shipper.startAnew();
      await waitFor(wait, signal);
    }
  }

  async #keepNoting(shipper: Shipper, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#tellOutage(shipper.state);
      await this.#note(factsOfShipping(shipper.state, this.#counts, this.#extras()));
      await waitFor(NOTE_EVERY_MS, signal);
    }
  }

  #tellOutage({ fault, unshippedBytes, unshippedSince }: ShippingState): void {
    const since = new Date(unshippedSince ?? Date.now());
    const isLate = Date.now() - since.getTime() > SILENT_MS;
    if (fault || isLate)
      this.#outage.failing({
        ...(fault ?? { since, reason: "the repository neither takes a segment nor refuses it" }),
        meanwhile: `${unshippedBytes} bytes of commits wait in the WAL and are tried again; at ${this.#mostWalBytes} bytes the app has its WAL back, and what waits becomes a hole`,
      });
    else if (this.#backupFault !== null)
      this.#outage.failing({
        reason: this.#backupFault,
        meanwhile: "the backup that the log begins with is tried again",
      });
    else if (this.#isBased) {
      this.#outage.working(this.#loss);
      this.#loss = undefined;
    }
  }

  #extras(): WatchExtras {
    const { length } = this.#holes;
    const holes = this.#holes.slice(-HOLES_SHOWN);
    return { holes, holeCount: length, fallbacks: this.#fallbacks, backupFault: this.#backupFault };
  }

  /** Only where something changed: an idle watch is to be idle. */
  async #note(facts: WatchFacts | ({ readonly state: "waiting" } & Waiting)): Promise<void> {
    const text = JSON.stringify(facts);
    if (text === this.#noted) return;
    this.#noted = text;
    try {
      await this.#request.note({ ...facts });
    } catch (thrown) {
      // `status` then says what it knew last; shipping goes on, which is what counts.
      this.#request.report({ note: `cannot leave word for status: ${reasonOf(thrown)}` });
    }
  }
}
