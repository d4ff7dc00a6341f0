import { chown, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  backup,
  LifeboatError,
  type Manifest,
  type RecoveryTarget,
  reasonOf,
  type SnapshotOptions,
  verify,
} from "@lifeboat/core";
import { postgresDetails, postgresEngine, Server } from "@lifeboat/postgres";
import { inRounds, type RandomRun } from "./in-rounds.ts";
import { type Acknowledged, LedgerWriter } from "./ledger-writer.ts";
import { combinableMajors, startCluster, type TestCluster, tablespaceFolder } from "./postgres.ts";
import { restoreBeside } from "./postgres-copies.ts";
import { Crowd } from "./postgres-crowd.ts";
import { type ClusterRepository, repositoryBeside, walCommand } from "./postgres-repository.ts";
import { badPagesIn, dumpOf, ledgerOf, unsoundIn } from "./postgres-sound-copy.ts";
import { randomFrom } from "./random-from.ts";
import { WalArrival } from "./wal-arrival.ts";

/** What a copy needs as its original does. */
const NEEDED = { max_prepared_transactions: "20", allow_in_place_tablespaces: "on" };

export interface CrowdReport {
  readonly backups: Readonly<Record<string, number>>;
  readonly kills: number;
  readonly promotions: number;
  readonly recoveries: number;
  readonly acknowledged: number;
  /** What the crowd was refused, by the server's first words. */
  readonly refused: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

/**
 * Backs a cluster up in the midst of a crowd, kills its server now and then, promotes it, and recovers: what comes has to be
 * the original row by row and, to a position, every commit up to it and no other; with sound indexes and page checksums.
 */
export async function backUpACrowd(init: {
  readonly seed: number;
  readonly rounds: number;
  readonly major?: number | undefined;
  say?(line: string): void;
  readonly signal?: AbortSignal;
}): Promise<CrowdReport> {
  const run = await CrowdRun.begin(init.seed, init.major);
  return inRounds(run, init, async (round) => {
    await run.round();
    return `${round} rounds, ${run.faults.join("; ") || "no fault"}`;
  });
}

class CrowdRun implements RandomRun<CrowdReport> {
  readonly faults: string[] = [];
  readonly #cluster: TestCluster;
  readonly #kept: ClusterRepository;
  readonly #random: () => number;
  readonly #streams: boolean;
  /** It takes incremental backups, and the program that puts them together is here. */
  readonly #combines: boolean;
  readonly #backups: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  #arrival: WalArrival | undefined;
  readonly #ledger: LedgerWriter;
  #kills = 0;
  #promotions = 0;
  #recoveries = 0;
  #hasFull = false;

  private constructor(
    cluster: TestCluster,
    kept: ClusterRepository,
    chance: {
      readonly random: () => number;
      readonly streams: boolean;
      readonly combines: boolean;
    },
  ) {
    this.#cluster = cluster;
    this.#ledger = new LedgerWriter(cluster);
    this.#kept = kept;
    this.#random = chance.random;
    this.#streams = chance.streams;
    this.#combines = chance.combines;
  }

  static async begin(seed: number, major?: number): Promise<CrowdRun> {
    const random = randomFrom(seed);
    const streams = random() < 0.5;
    const combines = major !== undefined && (await combinableMajors()).includes(major);
    const cluster = await startCluster({
      ...(major !== undefined && { major }),
      settings: {
        ...{ archive_mode: streams ? "off" : "on", autovacuum: "on", autovacuum_naptime: "1s" },
        ...{ ...NEEDED, max_wal_size: "16MB", checkpoint_timeout: "30s", shared_buffers: "4MB" },
        ...(combines && { summarize_wal: "on" }),
      },
      initdb: ["--wal-segsize=4", "--data-checksums"],
    });
    const kept = await repositoryBeside(cluster);
    const folder = (name: string) => tablespaceFolder(cluster, name);
    const run = new CrowdRun(cluster, kept, { random, streams, combines });
    await cluster.query("create table ledger(n int primary key, filler text)");
    await Crowd.prepare(cluster, [await folder("space-a"), await folder("space-b")]);
    run.#arrival = await WalArrival.start(cluster, kept, {
      streams,
      onFault: (what) => void run.faults.push(what),
    });
    return run;
  }

  async round(): Promise<void> {
    const crowd = Crowd.start(this.#cluster);
    const writing = new AbortController();
    const written = this.#ledger.write(writing.signal);
    try {
      // Several in one run of the server, since none builds on a backup of an earlier one.
      for (let more = Math.floor(this.#random() * 3); more >= 0; more--) {
        await delay(this.#random() * 2_000);
        await this.#backUp();
      }
      await delay(this.#random() * 2_000);
      const chance = this.#random();
      if (chance < 0.4) await this.#kill();
      else if (chance < 0.6) await this.#promote();
      await delay(this.#random() * 1_000);
    } finally {
      writing.abort();
      await Promise.all([written, crowd.stop()]);
    }
    for (const [words, times] of crowd.refused) count(this.#refused, words, times);
    if (!this.#hasFull) return;
    await this.#arrival?.all();
    await this.#recover();
  }

  async conclude(): Promise<void> {
    const { repository, offline } = this.#kept;
    const signal = new AbortController().signal;
    const { problems } = await verify({ repository, engines: [offline], deep: true, signal });
    this.faults.push(...problems.map(({ message }) => message));
  }

  report(): CrowdReport {
    return {
      ...{ backups: this.#backups, kills: this.#kills, promotions: this.#promotions },
      ...{ recoveries: this.#recoveries, acknowledged: this.#ledger.acknowledged.length },
      ...{ refused: this.#refused, faults: this.faults },
    };
  }

  async end(): Promise<void> {
    await this.#arrival?.stop();
    await this.#cluster.stop();
  }

  async #backUp(): Promise<void> {
    const { superuserUrl: url } = this.#cluster;
    // pg_basebackup takes no cluster of several tablespaces; a server of 15 leaves those made in place out of what it streams.
    const streamed = this.#cluster.programs.major >= 16 && this.#random() < 0.5;
    const transport = streamed ? "wire" : "parallel";
    const wal = this.#streams || this.#random() < 0.5 ? "stream" : "archive";
    const mayBuild = this.#combines && this.#hasFull && transport === "wire";
    const type = mayBuild && this.#random() < 0.7 ? "incremental" : "full";
    const options: SnapshotOptions = { transport, wal };
    const isKilled = this.#random() < 0.2;
    const taking = backup({
      ...{ repository: this.#kept.repository, engine: postgresEngine({ connection: { url } }) },
      ...{ type, options, signal: new AbortController().signal },
    }).then(
      (taken) => {
        this.#hasFull = true;
        count(this.#backups, `${taken.type} ${transport} ${wal}`);
      },
      (thrown: unknown) => {
        const code = thrown instanceof LifeboatError ? thrown.code : "";
        if (!isKilled) this.faults.push(`backup ${transport} ${wal}: ${reasonOf(thrown)}`);
        count(this.#backups, `failed ${code}`);
      },
    );
    if (isKilled) {
      await Promise.race([delay(this.#random() * 1_500), taking]);
      await this.#kill();
    }
    await taking;
  }

  async #kill(): Promise<void> {
    this.#kills++;
    await this.#cluster.kill();
    await this.#cluster.startAgain();
  }

  /** As after a failover: the next timeline. */
  async #promote(): Promise<void> {
    this.#promotions++;
    const { account, dataDirectory } = this.#cluster;
    await this.#cluster.kill();
    const signal = join(dataDirectory, "standby.signal");
    await writeFile(signal, "");
    if (account.foreign) await chown(signal, account.uid, account.gid);
    await this.#cluster.startAgain();
    await this.#cluster.query("select pg_promote()");
  }

  async #recover(): Promise<void> {
    this.#recoveries++;
    const where = `recovery ${this.#recoveries}`;
    const to = join(this.#cluster.directory, "copy");
    const spaces = join(this.#cluster.directory, "copy-spaces");
    const some = this.#random() < 0.3 ? this.#earlier() : undefined;
    const target: RecoveryTarget = some
      ? { kind: "lsn", lsn: some.lsn, exclusive: false }
      : { kind: "latest" };
    try {
      await restoreBeside(this.#cluster, this.#kept, {
        to,
        target,
        tablespaceMapping: await this.#mapping(target, spaces),
        fetchCommand: [...(await walCommand(this.#cluster)), "fetch"],
      });
      await this.#compare(to, where, some);
    } catch (thrown) {
      this.faults.push(`${where}: ${reasonOf(thrown)}`);
    }
    // Its prefetcher ends a little later.
    const gone = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
    for (const path of [to, spaces]) await rm(path, gone);
  }

  /** Each tablespace of the backup that is chosen gets a place beside the cluster's. */
  async #mapping(target: RecoveryTarget, spaces: string): Promise<Map<string, string>> {
    const { repository, folder, offline } = this.#kept;
    const { manifests } = await repository.backups(folder);
    const plan = await offline.plan(folder, manifests, target, {});
    const { tablespaces } = postgresDetails(plan.backups.at(-1) as Manifest);
    return new Map(tablespaces.map(({ oid, location }) => [location, join(spaces, String(oid))]));
  }

  /** A commit behind the newest backup, where there is one. */
  #earlier(): Acknowledged | undefined {
    return this.#ledger.acknowledged.at(-1 - Math.floor(this.#random() * 40));
  }

  async #compare(dataDirectory: string, where: string, some?: Acknowledged): Promise<void> {
    const cluster = this.#cluster;
    const { programs, account } = cluster;
    const settings = { archive_mode: "off", fsync: "off", ...NEEDED };
    const copy = await Server.start({ programs, account, dataDirectory, settings });
    try {
      await copy.accepting("postgres");
      const numbers = await ledgerOf(copy);
      const owed = some
        ? this.#ledger.acknowledged.filter(({ n }) => n <= some.n)
        : this.#ledger.acknowledged;
      const lost = owed.filter(({ n }) => !numbers.has(n)).map(({ n }) => n);
      if (lost.length > 0) this.faults.push(`${where} lost ${lost.slice(0, 5)}`);
      if (some && numbers.has(some.n + 1)) this.faults.push(`${where} went past ${some.n}`);
      const [own, its] = [await dumpOf(cluster, cluster.server), await dumpOf(cluster, copy)];
      if (!some && own !== its) this.faults.push(`${where} gave other rows: ${own} ${its}`);
      this.#fault(where, await unsoundIn(cluster, copy));
    } finally {
      await copy.stop();
    }
    this.#fault(where, await badPagesIn(cluster, dataDirectory));
  }

  #fault(where: string, what: string | undefined): void {
    if (what !== undefined) this.faults.push(`${where}: ${what}`);
  }
}

function count(into: Record<string, number>, what: string, times = 1): void {
  into[what] = (into[what] ?? 0) + times;
}
