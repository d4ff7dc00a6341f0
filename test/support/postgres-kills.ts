import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { verify } from "@lifeboat/core";
import { execa } from "execa";
import pg from "pg";
import { inRounds, type RandomRun } from "./in-rounds.ts";
import { descendants, killTree, tryKill } from "./kill-tree.ts";
import { PATIENCE } from "./patience.ts";
import { startCluster, type TestCluster } from "./postgres.ts";
import { countAfter, restoreBeside } from "./postgres-copies.ts";
import { archiveInto, type ClusterRepository, repositoryBeside } from "./postgres-repository.ts";
import { randomFrom } from "./random-from.ts";

const RECEIVER = fileURLToPath(new URL("./postgres-receive-run.ts", import.meta.url));
const BACKUP = fileURLToPath(new URL("./postgres-backup-process.ts", import.meta.url));
const RESTORE = fileURLToPath(new URL("./postgres-restore-run.ts", import.meta.url));
const VICTIMS = ["archiver", "receiver", "server", "backup", "restore"] as const;
/** A program that is killed lives no longer than that: enough to come into its midst, and sometimes to its end. */
const LONGEST_LIFE_MS = 2_500;
const RATE = 16 << 20;
/** Recoveries cost more than kills: one after so many. */
const KILLS_A_RECOVERY = 10;

export interface KillReport {
  readonly kills: Readonly<Record<(typeof VICTIMS)[number], number>>;
  readonly recoveries: number;
  readonly acknowledged: number;
  /** What was wrong; empty when all held. */
  readonly faults: readonly string[];
}

/**
 * Kills archive_command, receiver, server, backups and restores by -9, at random instants, while commits wait for the
 * repository; and recovers now and then: every commit that returned has to be there, and nothing else be left.
 * @param seed decides victims and pauses
 */
export async function killAtRandom(init: {
  readonly seed: number;
  readonly kills: number;
  say?(line: string): void;
  /** Ends it in the midst of a kill, of which nothing is told then. */
  readonly signal?: AbortSignal;
}): Promise<KillReport> {
  const run = await KillRun.begin(init.seed);
  const { kills } = init;
  return inRounds(run, { ...init, rounds: kills }, async (kill) => {
    await run.killOne();
    if (kill % KILLS_A_RECOVERY === 0 || kill === kills) await run.recover();
    return `${kill} kills, ${run.faults.length} faults`;
  });
}

class KillRun implements RandomRun<KillReport> {
  readonly faults: string[] = [];
  readonly #cluster: TestCluster;
  readonly #kept: ClusterRepository;
  readonly #random: () => number;
  readonly #kills = { archiver: 0, receiver: 0, server: 0, backup: 0, restore: 0 };
  readonly #acknowledged: number[] = [];
  #recoveries = 0;
  #next = 0;
  #receiver: ReturnType<typeof startReceiver> | undefined;
  #writer: pg.Client | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(cluster: TestCluster, kept: ClusterRepository, seed: number) {
    this.#cluster = cluster;
    this.#kept = kept;
    this.#random = randomFrom(seed);
  }

  static async begin(seed: number): Promise<KillRun> {
    const cluster = await startCluster({
      settings: { archive_mode: "on", wal_sender_timeout: "5s" },
      initdb: ["--wal-segsize=1"],
    });
    const kept = await repositoryBeside(cluster);
    await archiveInto(cluster);
    await cluster.query("create table ledger(n int primary key, filler text)");
    await kept.take();
    await cluster.query("alter system set synchronous_standby_names = 'lifeboat_receive'");
    await cluster.query("select pg_reload_conf()");
    const run = new KillRun(cluster, kept, seed);
    run.#receiver = startReceiver(cluster, kept);
    await run.#startWriter();
    return run;
  }

  async killOne(): Promise<void> {
    const before = this.#acknowledged.length;
    await delay(this.#random() * 400);
    const victim = VICTIMS[Math.floor(this.#random() * VICTIMS.length)] ?? "receiver";
    this.#kills[victim]++;
    if (victim === "archiver") await this.#killArchiveCommand();
    else if (victim === "receiver") await this.#killReceiver();
    else if (victim === "backup") await this.#killBackup();
    else if (victim === "restore") await this.#killRestore();
    else await this.#killServer();
    await this.#goesOn(before, victim);
  }

  /** What was acknowledged by now has to be in a copy that is recovered from the repository alone. */
  async recover(): Promise<void> {
    this.#recoveries++;
    const owed = [...this.#acknowledged];
    const { numbers } = await countAfter(this.#cluster, this.#kept);
    const lost = owed.filter((n) => !numbers.has(n));
    if (lost.length > 0)
      this.faults.push(`lost after recovery ${this.#recoveries}: ${lost.slice(0, 5)}`);
  }

  /** The archive is whole, nothing is left on the server but the slot that was asked for, and a backup works. */
  async conclude(): Promise<void> {
    const { repository, offline } = this.#kept;
    await this.#kept.take();
    await this.#isFree("at the end");
    const { problems: unfinished } = await repository.backups(this.#kept.folder);
    this.faults.push(...unfinished.map(({ message }) => message));
    await restoreBeside(this.#cluster, this.#kept, { to: this.#copy, fetchCommand: ["false"] });
    const left = (await readdir(this.#cluster.directory)).filter((name) => /victim/.test(name));
    if (left.join() !== "victim") this.faults.push(`left beside a copy: ${left}`);
    const signal = new AbortController().signal;
    const { problems } = await verify({ repository, engines: [offline], deep: true, signal });
    this.faults.push(...problems.map(({ message }) => message));
    await this.recover();
  }

  report(): KillReport {
    const faults = [...this.faults];
    const acknowledged = this.#acknowledged.length;
    return { kills: this.#kills, recoveries: this.#recoveries, acknowledged, faults };
  }

  async end(): Promise<void> {
    this.#receiver?.kill("SIGKILL");
    await this.#receiver;
    this.#writer?.connection.stream.destroy();
    await this.#writing;
    await this.#cluster.stop();
  }

  async #startWriter(): Promise<void> {
    const client = new pg.Client(this.#cluster.server.clientConfig("postgres", "app"));
    client.on("error", () => {});
    await client.connect();
    this.#writer = client;
    this.#writing = this.#write(client);
  }

  async #write(client: pg.Client): Promise<void> {
    try {
      for (;;) {
        const n = ++this.#next;
        const filler = n % 7 === 0 ? 40_000 : 100;
        await client.query(
          `insert into ledger values (${n}, (select string_agg(md5(i::text), '') from generate_series(1, ${filler} / 32) i))`,
        );
        this.#acknowledged.push(n);
      }
    } catch {
      // The server was killed: whether this one was committed is nobody's to know.
    }
  }

  /** The program that the archiver runs just now, if it does. */
  async #killArchiveCommand(): Promise<void> {
    const archivers = await this.#cluster.query<{ pid: number }>(
      "select pid from pg_stat_activity where backend_type = 'archiver'",
    );
    await this.#cluster.query("select pg_switch_wal()");
    await delay(this.#random() * 200);
    for (const { pid } of archivers) for (const child of await descendants(pid)) tryKill(child);
  }

  async #killReceiver(): Promise<void> {
    this.#receiver?.kill("SIGKILL");
    await this.#receiver;
    this.#receiver = startReceiver(this.#cluster, this.#kept);
  }

  /** By one transport or the other, and maybe before or after its midst. */
  async #killBackup(): Promise<void> {
    const transport = this.#random() < 0.5 ? "wire" : "parallel";
    const state = join(this.#cluster.directory, "own-state");
    const where = [this.#kept.path, state, this.#cluster.superuserUrl];
    await this.#killAtSomeTime([BACKUP, ...where, transport, "stream", String(RATE)]);
    await this.#isFree(`after a ${transport} backup was killed`);
  }

  /** Of a copy there is all or nothing. */
  async #killRestore(): Promise<void> {
    const state = join(this.#cluster.directory, "own-state");
    await this.#killAtSomeTime([RESTORE, this.#kept.path, state, this.#copy]);
    const entries = await readdir(this.#copy).catch(() => undefined);
    if (entries && !entries.includes("recovery.signal")) this.faults.push("a copy is not whole");
    if (entries) await rm(this.#copy, { recursive: true });
  }

  get #copy(): string {
    return join(this.#cluster.directory, "victim");
  }

  async #killAtSomeTime(words: readonly string[]): Promise<void> {
    const child = execa(process.execPath, words, { reject: false, buffer: false });
    const life = delay(this.#random() * LONGEST_LIFE_MS);
    await Promise.race([life, child]);
    if (child.pid !== undefined) await killTree(child.pid);
    await child;
  }

  /** Nothing is left on the server but what was asked for: our slot, and who streams through it. */
  async #isFree(when: string): Promise<void> {
    const left = `
      select 'slot ' || slot_name as what from pg_replication_slots where slot_name <> 'lifeboat_receive'
      union all select 'backup ' || phase from pg_stat_progress_basebackup
      union all select 'sender ' || application_name from pg_stat_replication where application_name <> 'lifeboat_receive'
      union all select 'session ' || query from pg_stat_activity where application_name = 'lifeboat' and backend_type = 'client backend'`;
    const patience = Date.now() + PATIENCE.timeout;
    for (;;) {
      const rows = await this.#cluster.query<{ what: string }>(left);
      if (rows.length === 0) return;
      if (Date.now() > patience) {
        this.faults.push(`left on the server ${when}: ${rows.map(({ what }) => what).join(", ")}`);
        return;
      }
      await delay(50);
    }
  }

  async #killServer(): Promise<void> {
    const { pid } = this.#cluster.server;
    if (pid !== undefined) await killTree(pid);
    await this.#cluster.server.ended;
    this.#writer?.connection.stream.destroy();
    await this.#writing;
    await this.#cluster.restart();
    // Its address is another one now.
    await this.#killReceiver();
    await this.#startWriter();
  }

  async #goesOn(before: number, victim: string): Promise<void> {
    const patience = Date.now() + PATIENCE.timeout;
    while (this.#acknowledged.length <= before) {
      if (Date.now() > patience) throw new Error(`no commit returns after ${victim} was killed`);
      await delay(20);
    }
  }
}

function startReceiver({ directory, superuserUrl }: TestCluster, { path }: ClusterRepository) {
  const words = [RECEIVER, path, join(directory, "own-state"), superuserUrl, "synchronous"];
  return execa(process.execPath, words, { reject: false, buffer: false });
}
