import { createHash } from "node:crypto";
import { chown, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
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
import {
  type ProgramName,
  postgresDetails,
  postgresEngine,
  programPath,
  receiveWal,
  runAs,
  Server,
} from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { orStopped } from "./or-stopped.ts";
import { startCluster, type TestCluster, tablespaceFolder } from "./postgres.ts";
import { restoreBeside } from "./postgres-copies.ts";
import { Crowd } from "./postgres-crowd.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "./postgres-repository.ts";
import { randomFrom } from "./random-from.ts";

const PATIENCE_MS = 120_000;
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

interface Acknowledged {
  readonly n: number;
  /** Of the server, once it had answered. */
  readonly lsn: string;
}

/**
 * Backs a cluster up in the midst of a crowd, kills its server now and then, promotes it, and recovers: what comes has to be
 * the original row by row and, to a position, every commit up to it and no other; with sound indexes and page checksums.
 * @param mode how WAL comes into the repository
 */
export async function backUpACrowd(init: {
  readonly seed: number;
  readonly rounds: number;
  readonly major?: number | undefined;
  say?(line: string): void;
  readonly signal?: AbortSignal;
}): Promise<CrowdReport> {
  const run = await CrowdRun.begin(init.seed, init.major);
  const work = async () => {
    for (let round = 1; round <= init.rounds; round++) {
      await run.round();
      init.say?.(`${round} rounds, ${run.faults.join("; ") || "no fault"}`);
    }
    await run.conclude();
  };
  try {
    await orStopped(work(), init.signal);
    return run.report();
  } finally {
    await run.end();
  }
}

class CrowdRun {
  readonly faults: string[] = [];
  readonly #cluster: TestCluster;
  readonly #kept: ClusterRepository;
  readonly #random: () => number;
  readonly #streams: boolean;
  readonly #backups: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  readonly #receiver = new AbortController();
  #receiving: Promise<unknown> = Promise.resolve();
  #durable = 0n;
  #acknowledged: Acknowledged[] = [];
  #next = 0;
  #kills = 0;
  #promotions = 0;
  #recoveries = 0;
  #hasFull = false;

  private constructor(cluster: TestCluster, kept: ClusterRepository, seed: number) {
    this.#cluster = cluster;
    this.#kept = kept;
    this.#random = randomFrom(seed);
    this.#streams = this.#random() < 0.5;
  }

  static async begin(seed: number, major?: number): Promise<CrowdRun> {
    const cluster = await startCluster({
      ...(major !== undefined && { major }),
      settings: {
        ...{ archive_mode: "on", autovacuum: "on", autovacuum_naptime: "1s" },
        ...{ ...NEEDED, max_wal_size: "16MB", checkpoint_timeout: "30s" },
        ...{ shared_buffers: "4MB" },
        ...(major !== undefined && major >= 17 && { summarize_wal: "on" }),
      },
      initdb: ["--wal-segsize=4", "--data-checksums"],
    });
    const kept = await repositoryBeside(cluster);
    const folders = [
      await tablespaceFolder(cluster, "space-a"),
      await tablespaceFolder(cluster, "space-b"),
    ] as const;
    const run = new CrowdRun(cluster, kept, seed);
    await cluster.query("create table ledger(n int primary key, filler text)");
    await Crowd.prepare(cluster, folders);
    if (run.#streams) {
      await cluster.query("alter system set archive_mode = off");
      run.#receiving = run.#receive();
    } else await archiveInto(cluster);
    return run;
  }

  async round(): Promise<void> {
    const crowd = Crowd.start(this.#cluster);
    const writing = new AbortController();
    const written = this.#write(writing.signal);
    try {
      await delay(this.#random() * 2_000);
      await this.#backUp();
      await delay(this.#random() * 2_000);
      const chance = this.#random();
      if (chance < 0.4) await this.#kill();
      else if (chance < 0.6) await this.#promote();
      await delay(this.#random() * 1_000);
    } finally {
      writing.abort();
      await Promise.all([written, crowd.stop()]);
    }
    for (const [words, count] of crowd.refused)
      this.#refused[words] = (this.#refused[words] ?? 0) + count;
    if (!this.#hasFull) return;
    await this.#archived();
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
      ...{ recoveries: this.#recoveries, acknowledged: this.#acknowledged.length },
      ...{ refused: this.#refused, faults: this.faults },
    };
  }

  async end(): Promise<void> {
    this.#receiver.abort();
    await this.#receiving;
    await this.#cluster.stop();
  }

  async #receive(): Promise<void> {
    await receiveWal({
      ...{ connection: { url: this.#cluster.superuserUrl }, folder: this.#kept.folder },
      report: () => {},
      onDurable: (position) => {
        this.#durable = position;
      },
      onHole: (message) => void this.faults.push(message),
      signal: this.#receiver.signal,
    }).catch((thrown: unknown) => void this.faults.push(`the receiver ended: ${reasonOf(thrown)}`));
  }

  /** One commit after the other; after each, the position up to which it is the last. */
  async #write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const client = new pg.Client(this.#cluster.server.clientConfig("postgres", "app"));
      client.on("error", () => {});
      try {
        await client.connect();
        // One whose answer was lost may be there.
        const { rows } = await client.query("select coalesce(max(n), 0) as n from ledger");
        this.#next = rows[0].n;
        while (!signal.aborted) {
          const n = ++this.#next;
          await client.query(`insert into ledger values (${n}, repeat('x', ${(n % 9) * 100}))`);
          const lsn = await client.query("select pg_current_wal_insert_lsn()::text as lsn");
          this.#acknowledged.push({ n, lsn: lsn.rows[0].lsn });
          await delay(5);
        }
      } catch {
        await delay(100);
      } finally {
        await client.end().catch(() => {});
      }
    }
  }

  async #backUp(): Promise<void> {
    const { programs, superuserUrl: url } = this.#cluster;
    // pg_basebackup takes no cluster of several tablespaces.
    const transport = this.#random() < 0.5 ? "wire" : "parallel";
    const wal = this.#streams || this.#random() < 0.5 ? "stream" : "archive";
    const mayBuild = programs.major >= 17 && this.#hasFull && transport === "wire";
    const type = mayBuild && this.#random() < 0.7 ? "incremental" : "full";
    const options: SnapshotOptions = { transport, wal };
    const isKilled = this.#random() < 0.2;
    const taking = backup({
      ...{ repository: this.#kept.repository, engine: postgresEngine({ connection: { url } }) },
      ...{ type, options, signal: new AbortController().signal },
    }).then(
      () => {
        this.#hasFull = true;
        const what = `${type} ${transport} ${wal}`;
        this.#backups[what] = (this.#backups[what] ?? 0) + 1;
      },
      (thrown: unknown) => {
        const code = thrown instanceof LifeboatError ? thrown.code : "";
        if (!isKilled) this.faults.push(`backup ${transport} ${wal}: ${reasonOf(thrown)}`);
        const what = `failed ${code}`;
        this.#backups[what] = (this.#backups[what] ?? 0) + 1;
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

  /** All that is committed is in the repository. */
  async #archived(): Promise<void> {
    const [end] = await this.#cluster.query<{ name: string; lsn: string }>(
      "select pg_walfile_name(lsn) as name, pg_wal_lsn_diff(lsn, '0/0')::text as lsn from pg_switch_wal() lsn",
    );
    const archiver = "select coalesce(last_archived_wal, '') as last from pg_stat_archiver";
    let before = "";
    for (let patience = Date.now() + PATIENCE_MS; ; ) {
      const [row] = await this.#cluster.query<{ last: string }>(archiver);
      const last = this.#streams ? String(this.#durable) : (row?.last ?? "");
      if (this.#streams ? this.#durable >= BigInt(end?.lsn ?? 0) : last >= (end?.name ?? ""))
        return;
      if (last !== before) patience = Date.now() + PATIENCE_MS;
      if (Date.now() > patience) throw new Error(`the archive stands at ${last}`);
      before = last;
      await delay(100);
    }
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
    return this.#acknowledged.at(-1 - Math.floor(this.#random() * 40));
  }

  async #compare(dataDirectory: string, where: string, some?: Acknowledged): Promise<void> {
    const { programs, account } = this.#cluster;
    const settings = { archive_mode: "off", fsync: "off", ...NEEDED };
    const copy = await Server.start({ programs, account, dataDirectory, settings });
    try {
      await copy.accepting("postgres");
      const numbers = await ledgerOf(copy);
      const owed = some ? this.#acknowledged.filter(({ n }) => n <= some.n) : this.#acknowledged;
      const lost = owed.filter(({ n }) => !numbers.has(n)).map(({ n }) => n);
      if (lost.length > 0) this.faults.push(`${where} lost ${lost.slice(0, 5)}`);
      if (some && numbers.has(some.n + 1)) this.faults.push(`${where} went past ${some.n}`);
      const [own, its] = [await this.#dump(this.#cluster.server), await this.#dump(copy)];
      if (!some && own !== its) this.faults.push(`${where} gave other rows: ${own} ${its}`);
      await this.#sound(copy, where);
    } finally {
      await copy.stop();
    }
    const args = ["--check", "-D", dataDirectory];
    const { exitCode, all } = await execa(
      programPath(programs, "pg_checksums" as ProgramName),
      args,
      {
        ...{ ...runAs(account), reject: false, all: true },
      },
    );
    if (exitCode !== 0) this.faults.push(`${where}: ${String(all).slice(0, 300)}`);
  }

  /** Every heap and index agree. */
  async #sound(copy: Server, where: string): Promise<void> {
    const { programs, account } = this.#cluster;
    const args = ["--all", "--install-missing", "--heapallindexed"];
    const { exitCode, all } = await execa(
      programPath(programs, "pg_amcheck" as ProgramName),
      [...args, ...reach(copy)],
      { ...runAs(account), reject: false, all: true },
    );
    if (exitCode !== 0) this.faults.push(`${where}: ${String(all).slice(0, 600)}`);
  }

  /** The digest of all that it holds; but for what a crash moves (sequences), and what a restore maps. */
  async #dump(server: Server): Promise<string> {
    const { programs, account } = this.#cluster;
    const child = execa(
      programPath(programs, "pg_dumpall" as ProgramName),
      ["--no-unlogged-table-data", "--no-sync", ...reach(server)],
      { ...runAs(account), buffer: false },
    );
    const hash = createHash("sha256");
    for await (const line of createInterface({ input: child.stdout }))
      if (!/^(\\(un)?restrict|CREATE TABLESPACE|SELECT pg_catalog\.setval)/.test(line))
        hash.update(`${line}\n`);
    await child;
    return hash.digest("hex").slice(0, 16);
  }
}

function reach(server: Server): string[] {
  const { host, port } = server.clientConfig("postgres", "postgres");
  return ["-h", String(host), "-p", String(port), "-U", "postgres"];
}

async function ledgerOf(server: Server): Promise<ReadonlySet<number>> {
  const client = new pg.Client(server.clientConfig("postgres", "app"));
  await client.connect();
  try {
    const patience = Date.now() + PATIENCE_MS;
    for (;;) {
      const { rows } = await client.query("select pg_is_in_recovery() as recovers");
      if (rows[0].recovers !== true) break;
      if (Date.now() > patience) throw new Error("the copy does not end its recovery");
      await delay(50);
    }
    const { rows } = await client.query<{ n: number }>("select n from ledger");
    return new Set(rows.map(({ n }) => n));
  } finally {
    await client.end();
  }
}
