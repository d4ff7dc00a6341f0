import type { Client } from "pg";
import { entryAt, type LogEntry, logEnd, waitingChanges } from "../capture/change-log.ts";
import { forgetApplied } from "../capture/forget-applied.ts";
import { noteSchema, schemaSince, schemaVersion } from "../capture/schema-watch.ts";
import { addedObjects } from "../compare/added-objects.ts";
import type { MigrationFinding } from "../finding.ts";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { abandon } from "../target/abandon.ts";
import {
  type JournalEntry,
  lastEntryOf,
  type MigrationPhase,
  note,
  watermarkOf,
} from "../target/journal.ts";
import { takenOver } from "../target/taken-over.ts";
import {
  type Applied,
  type AppliedTable,
  type ApplyOptions,
  ChangeApplier,
  FAR_BEHIND,
} from "./apply-changes.ts";
import {
  bringForeignKeysBack,
  enforceForeignKeys,
  passOverForeignKeys,
  setForeignKeysAside,
} from "./foreign-keys.ts";
import { assertInPlace, replaced } from "./source-moved-on.ts";
import { targetActs } from "./target-acts.ts";

/** A table that is brought again as a whole costs more than this. */
const RENUMBERED_PATIENCE_MS = 10_000;

/**
 * Follows the writes of SQLite in the target: one transaction a look, which also holds how far it came. A kill at any
 * instant leaves the target before the look or after it, and the next one goes on from there.
 */
export class Forward {
  readonly #source: LiveSource;
  readonly #client: Client;
  readonly #plan: MigrationPlan;
  readonly #id: string;
  readonly #phase: MigrationPhase;
  readonly #applier: ChangeApplier;
  /** The last entry that was brought, if it is known. */
  #last: LogEntry | null;
  /** The same, of a transaction that is not committed yet. */
  #noted: LogEntry | null = null;
  /** Whether the foreign keys are dropped for now. */
  #aside: boolean;

  /** @param phase in which the migration must stay; else somebody else has taken it over */
  constructor(source: LiveSource, client: Client, entry: JournalEntry, phase: MigrationPhase) {
    this.#source = source;
    this.#client = client;
    this.#plan = entry.plan;
    this.#id = entry.id;
    this.#phase = phase;
    this.#applier = new ChangeApplier(source, client, entry.plan, watermarkOf(entry));
    this.#last = lastEntryOf(entry);
    this.#aside = entry.details.foreignKeysAside === true;
  }

  /** Entries that wait. */
  get waiting(): number {
    return waitingChanges(this.#source.db, this.#applier.watermark);
  }

  get watermark(): bigint {
    return this.#applier.watermark;
  }

  /**
   * Prepares the session, once: changes go in in an order of their own, which foreign keys would not bear. Where the role may
   * not pass over them they are dropped until {@link Forward.end}, and the journal says so.
   * @throws LifeboatError `TARGET_ACTS`
   */
  async begin(): Promise<void> {
    const client = this.#client;
    // Each key is looked up in its index, however little is known of the session's tables of keys; and what a plan is
    // believed to cost must not have it compiled, which takes longer than all else.
    await client.query("SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
    const isPassedOver = await passOverForeignKeys(client);
    await this.#assertNothingActs();
    if (isPassedOver) return;
    this.#aside = true;
    await this.#transaction(async () => {
      await setForeignKeysAside(client, this.#plan);
      await this.#note({ foreignKeysAside: true });
    });
  }

  /** An earlier verification says nothing of what has acted since, on what was brought meanwhile. */
  async #assertNothingActs(): Promise<void> {
    const acting = await this.#acting(this.#plan.tables);
    if (acting.length === 0) return;
    await this.#note({ verifiedAt: null });
    throw targetActs(acting);
  }

  async #acting(tables: readonly PlannedTable[]): Promise<MigrationFinding[]> {
    const added = await addedObjects(this.#client, { ...this.#plan, tables });
    return added.filter(({ severity }) => severity === "error");
  }

  /**
   * Asked once the rows are written: until the commit their tables' locks keep everybody from making a trigger on them (manual, "Explicit
   * Locking"), and what one made before has done goes with the transaction.
   */
  async #assertNothingActed({ tables }: Applied): Promise<void> {
    const names = new Set(tables.map(({ name }) => name));
    const acting = await this.#acting(this.#plan.tables.filter(({ name }) => names.has(name)));
    if (acting.length > 0) throw targetActs(acting);
  }

  /** Makes the foreign keys again where they were set aside, by an earlier run too. */
  async end(): Promise<void> {
    await enforceForeignKeys(this.#client);
    await this.#client.query(
      "RESET jit; RESET enable_hashjoin; RESET enable_mergejoin; SET lock_timeout = 0",
    );
    if (!this.#aside) return;
    await this.#transaction(async () => {
      // Whoever has taken over goes on without them, and makes them again.
      if (!(await note(this.#client, this.#id, [this.#phase], { foreignKeysAside: false }))) return;
      await bringForeignKeysBack(this.#client, this.#plan);
    });
    this.#aside = false;
  }

  /**
   * One look: brings what the log holds now, and forgets it in SQLite.
   * @returns null where nothing waits
   * @throws LifeboatError `TAKEN_OVER`, `TARGET_ACTS` and those of `ChangeApplier.apply`; the target is as it was then
   */
  async once(signal: AbortSignal): Promise<Applied | null> {
    const applied = await this.look(signal);
    if (applied !== null) this.forget();
    return applied;
  }

  /** The same, and the log keeps what was brought: for rows that are to be compared again. */
  async look(signal: AbortSignal): Promise<Applied | null> {
    return this.#applier.waiting > FAR_BEHIND ? this.#farLook(signal) : this.#nearLook(signal);
  }

  /** In short reads as long as each is much shorter than the one before; one whole look then ends the same transaction. */
  async #farLook(signal: AbortSignal): Promise<Applied> {
    this.#assertSameFile();
    let version = 0n;
    const applied = await this.#transaction(async () => {
      const looks: Applied[] = [];
      let through = this.#applier.watermark;
      for (let waiting = this.#applier.waiting, last = waiting * 2n + 1n; ; ) {
        if (waiting <= FAR_BEHIND || waiting > last / 2n) break;
        const far = await this.#applier.applyFar(through, signal);
        looks.push(far);
        through = far.through;
        last = waiting;
        waiting = (logEnd(this.#source.db) ?? through) - through;
      }
      const rest = await this.#source.snapshot(async () => {
        version = schemaVersion(this.#source.db);
        return this.#applier.apply({ compare: true }, signal, through);
      });
      if (rest !== null) looks.push(rest);
      const done = together(looks, rest?.through ?? through);
      await this.#assertNothingActed(done);
      await this.#noteBrought(done);
      return done;
    });
    this.#committed(applied);
    this.#noteRenumbered(version);
    return applied;
  }

  async #nearLook(signal: AbortSignal): Promise<Applied | null> {
    let version = 0n;
    const applied = await this.#source.snapshot(async () => {
      version = schemaVersion(this.#source.db);
      this.#assertSameFile();
      return this.#isIdle() ? null : this.bring({ compare: true }, signal);
    });
    if (applied === null) return null;
    this.#noteRenumbered(version);
    return applied;
  }

  /** Brings what the snapshot or lock, which the caller holds on SQLite, has in its log. */
  async bring(options: ApplyOptions, signal: AbortSignal): Promise<Applied | null> {
    const applied = await this.#transaction(async () => {
      const done = await this.#applier.apply(options, signal);
      // While the product waits nothing is asked that can be asked later.
      if (done !== null && options.compare !== false) await this.#assertNothingActed(done);
      if (done !== null) await this.#noteBrought(done);
      return done;
    });
    if (applied !== null) this.#committed(applied);
    return applied;
  }

  /**
   * Compares the rows of entries after one that were applied already.
   * @throws LifeboatError `NOT_APPLIED`, `TARGET_ACTS`
   */
  async compareAgain(after: bigint): Promise<void> {
    await this.#assertNothingActs();
    await this.#transaction(() => this.#applier.compareAgain(after, this.#applier.watermark));
  }

  /** Removes from SQLite's log what the target holds. */
  forget(): void {
    forgetApplied(this.#source, this.#applier.watermark);
  }

  /** A backup of the file that was put in its place has the log of its own day, which goes on under numbers that were brought. */
  #assertSameFile(): void {
    assertInPlace(this.#source);
    const last = this.#last;
    const now = last === null ? null : entryAt(this.#source.db, this.#applier.watermark);
    if (now !== null && now.seq === last?.seq && now.digest !== last.digest)
      throw replaced(this.#plan);
  }

  #isIdle(): boolean {
    const { db } = this.#source;
    return schemaSince(db) === "same" && (logEnd(db) ?? 0n) === this.#applier.watermark;
  }

  /** Rowids that SQLite gave anew are noted as known, unless it has done so once more since they were read. */
  #noteRenumbered(version: bigint): void {
    const { db } = this.#source;
    if (schemaSince(db) !== "renumbered") return;
    // Where it can't be noted now, the next look brings the tables without a key once more.
    this.#source.writeIfFree(RENUMBERED_PATIENCE_MS, () => {
      if (schemaVersion(db) === version) noteSchema(db);
    });
  }

  #committed(applied: Applied): void {
    this.#applier.committed(applied);
    this.#last = this.#noted;
  }

  /** What SQLite may lose with the power must not be in Postgres. */
  async #noteBrought({ through }: Applied): Promise<void> {
    const lastEntry = entryAt(this.#source.db, through);
    this.#noted = lastEntry;
    const appliedAt = new Date().toISOString();
    await this.#note({ watermark: String(through), lastEntry, appliedAt });
    this.#source.makeDurable();
  }

  async #note(details: Readonly<Record<string, unknown>>): Promise<void> {
    if (await note(this.#client, this.#id, [this.#phase], details)) return;
    throw takenOver();
  }

  async #transaction<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#client.query("BEGIN");
    try {
      const result = await work();
      await this.#client.query("COMMIT");
      return result;
    } catch (cause) {
      await abandon(this.#client);
      throw cause;
    }
  }
}

/** Several looks as one, by table. */
function together(looks: readonly Applied[], through: bigint): Applied {
  const tables = new Map<string, AppliedTable>();
  for (const { name, written, removed } of looks.flatMap((look) => look.tables)) {
    const before = tables.get(name) ?? { written: 0, removed: 0 };
    tables.set(name, {
      name,
      written: before.written + written,
      removed: before.removed + removed,
    });
  }
  return { through, tables: [...tables.values()] };
}
