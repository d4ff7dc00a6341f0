import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type MigrationPlan, planMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import type { TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

export type Side = "sqlite" | "postgres";
export type Verb = "load" | "sync" | "verify" | "cutover" | "rollback" | "finish" | "abort";

const program = (name: string) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
const BASES = [1_000_000, 2_000_000];
const PATIENCE_MS = 90_000;

/** Rows with a key, without, with parents, with ids that SQLite gives; and enough of them that a load takes its time. */
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE writers(id INTEGER PRIMARY KEY, v INTEGER NOT NULL);
  CREATE TABLE ledger(seq INTEGER PRIMARY KEY, writer INTEGER NOT NULL REFERENCES writers(id), body TEXT NOT NULL);
  CREATE TABLE copies(seq INTEGER NOT NULL, v REAL);
  CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL UNIQUE);
  CREATE TABLE scratch(v TEXT);
  INSERT INTO writers VALUES (0, 0), (${BASES[0]}, 0), (${BASES[1]}, 0);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
    INSERT INTO ledger SELECT -i, 0, 'old ' || i FROM n;
  INSERT INTO copies VALUES (-1, 0.5), (-1, 0.5);
  INSERT INTO events(seq) VALUES (-1);`;

/** A verb at work in a process of its own. */
export interface RunningVerb {
  /** Titles of the steps that began so far. */
  readonly steps: readonly string[];
  readonly notes: readonly string[];
  /** How it ended: `done`, `failed CODE …`, or null where it was killed. */
  readonly ended: Promise<string | null>;
  /** Settles as a step begins, by title or by its place from 0; or as the process ends. */
  reaches(step: string | number): Promise<boolean>;
  kill(): void;
  /** Asks it to stop, as Ctrl-C does. */
  stop(): void;
}

/** Programs that write beside the writers, to tables of their own: what they lose, a comparison finds. */
export interface Beside {
  readonly schema: string;
  start(product: {
    readonly path: string;
    readonly side: string;
    readonly environment: NodeJS.ProcessEnv;
  }): Promise<void>;
  /** Ends them in order. */
  stop(): Promise<void>;
  kill(): void;
}

interface Writer {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
}

export interface KillCaseInit {
  /** Milliseconds between two commits of a writer; 1 when left out. */
  readonly pause?: number;
  readonly beside?: Beside | undefined;
}

/** A product of two processes that write all the time, and its migration. */
export class KillCase {
  readonly one: MigrationCase;
  readonly plan: MigrationPlan;
  readonly #cluster: TestCluster;
  readonly #before: unknown[];
  readonly #pause: number;
  readonly #beside: Beside | undefined;
  readonly #writers = new Map<number, Writer>();
  readonly #verbs = new Set<ChildProcess>();

  private constructor(
    cluster: TestCluster,
    one: MigrationCase,
    plan: MigrationPlan,
    { pause = 1, beside }: KillCaseInit,
  ) {
    this.#cluster = cluster;
    this.one = one;
    this.plan = plan;
    this.#pause = pause;
    this.#beside = beside;
    this.#before = schemaOf(one.path);
    this.switchTo("sqlite");
  }

  static async make(cluster: TestCluster, init: KillCaseInit = {}): Promise<KillCase> {
    const one = await migrationCase(cluster, `${SCHEMA} ${init.beside?.schema ?? ""}`);
    const plan = await planMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    });
    return new KillCase(cluster, one, plan, init);
  }

  /** Where the product believes to belong. */
  get side(): Side {
    return readFileSync(this.#side, "utf8") as Side;
  }

  switchTo(side: Side): void {
    writeFileSync(this.#side, side);
  }

  get #side(): string {
    return `${this.one.path}-side`;
  }

  start(verb: Verb, ...flags: readonly string[]): RunningVerb {
    const child = spawn(
      process.execPath,
      [
        program("migrate-in-process"),
        verb,
        "--database",
        this.one.path,
        "--side",
        this.#side,
        ...flags,
      ],
      { env: this.#environment(), stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#verbs.add(child);
    const running = follow(child);
    running.ended.finally(() => this.#verbs.delete(child));
    return running;
  }

  /** Runs a verb to its end. */
  async run(verb: Verb, ...flags: readonly string[]): Promise<string | null> {
    return this.start(verb, ...flags).ended;
  }

  async startWriters(): Promise<void> {
    await Promise.all(BASES.map((base) => this.#startWriter(base)));
    const [path, side, environment] = [this.one.path, this.#side, this.#environment()];
    await this.#beside?.start({ path, side, environment });
  }

  /** Ends them in order: what they were at is acknowledged. */
  async stopWriters(): Promise<void> {
    await this.#beside?.stop();
    for (const { child, exit } of this.#writers.values()) {
      child.stdin?.end();
      const [status] = await exit;
      if (status !== 0) throw new Error(`a writer ended with ${status}`);
    }
    this.#writers.clear();
  }

  /** Kills one and starts it again. */
  async killWriter(number: number): Promise<void> {
    const base = BASES[number % BASES.length] as number;
    const writer = this.#writers.get(base);
    if (!writer) return;
    writer.child.kill("SIGKILL");
    await writer.exit;
    await this.#startWriter(base);
  }

  /** Waits until each writer was acknowledged more on this side; the writers must run. */
  async traffic(side: Side, more = 10): Promise<void> {
    const owed = BASES.map((base) => this.#acknowledged(base, side).length + more);
    const until = Date.now() + PATIENCE_MS;
    while (BASES.some((base, at) => this.#acknowledged(base, side).length < (owed[at] ?? 0))) {
      if (Date.now() > until) throw new Error(`the product can't write to ${side}`);
      await sleep(20);
    }
  }

  acknowledged(): number {
    return BASES.reduce((sum, base) => sum + this.#acknowledged(base).length, 0);
  }

  /** Names what was acknowledged and is not on this side, what is there twice, and what was never sent; nobody may write meanwhile. */
  async wrongOn(side: Side): Promise<string[]> {
    const wrong: string[] = [];
    for (const base of BASES) {
      const within = `seq > ${base} AND seq < ${base} + 1000000`;
      const ask = (sql: string) => this.#numbers(side, sql);
      const held = await ask(`SELECT seq - ${base} AS n FROM ledger WHERE ${within} ORDER BY 1`);
      const there = new Set(held);
      const begun = new Set(this.#lines(base, "begin"));
      const lost = this.#acknowledged(base).filter((seq) => !there.has(seq));
      const unknown = held.filter((seq) => !begun.has(seq));
      if (lost.length > 0) wrong.push(`${base} lost on ${side}: ${lost.slice(0, 5)}`);
      if (unknown.length > 0) wrong.push(`${base} unknown on ${side}: ${unknown.slice(0, 5)}`);
      for (const table of ["copies", "events"]) {
        const found = await ask(
          `SELECT seq - ${base} AS n FROM ${table} WHERE ${within} ORDER BY 1`,
        );
        if (String(found) !== String(held))
          wrong.push(`${base}: ${table} on ${side} holds ${found.length} of ${held.length}`);
      }
      const [last] = await ask(`SELECT v AS n FROM writers WHERE id = ${base}`);
      if (last !== (held.at(-1) ?? 0))
        wrong.push(`${base}: counter on ${side} is ${last}, newest ${held.at(-1)}`);
    }
    return wrong;
  }

  async differences(): Promise<string[]> {
    return (await compareIndependently(this.one.path, this.one.url, this.plan)).differences;
  }

  /** What of the refusals the journal does not account for; asked when no run is at work. */
  async unaccounted(): Promise<string[]> {
    await this.#untilNoBackend();
    const [journal] = await this.one.query<{ found: boolean }>(
      "SELECT to_regclass('lifeboat.migrations') IS NOT NULL AS found",
    );
    const [entry] = journal?.found
      ? await this.one.query<{ phase: string; switching: boolean; refused: boolean }>(
          "SELECT phase, (details->>'switching')::boolean AS switching, (details->>'targetRefused')::boolean AS refused FROM lifeboat.migrations ORDER BY started_at DESC LIMIT 1",
        )
      : [];
    const phase = entry?.phase ?? "none";
    const wrong: string[] = [];
    const here = refusesSqlite(this.one.path);
    if (here && !["cutting-over", "cut-over", "rolling-back", "finished"].includes(phase))
      wrong.push(`SQLite refuses writes, and the journal says ${phase}`);
    const there = await this.one.query(
      "SELECT tgname FROM pg_trigger WHERE tgname = 'lifeboat_refuse' AND tgenabled <> 'D' LIMIT 1",
    );
    const mayRefuse =
      ["rolling-back", "rolled-back"].includes(phase) ||
      (phase === "cutting-over" && entry?.switching === true) ||
      entry?.refused === true;
    if (there.length > 0 && !mayRefuse)
      wrong.push(`Postgres refuses writes, and the journal says ${phase}`);
    return wrong;
  }

  /** What is left of Lifeboat on either side. Temporary tables of a server that was killed are its own to clear away. */
  async traces(): Promise<string[]> {
    const wrong: string[] = [];
    if (JSON.stringify(schemaOf(this.one.path)) !== JSON.stringify(this.#before))
      wrong.push("the schema of SQLite is not what it was");
    const left = await this.one.query<{ name: string }>(
      `SELECT 'schema ' || nspname AS name FROM pg_namespace WHERE nspname LIKE 'lifeboat%'
       UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE 'lifeboat%'
       UNION ALL SELECT 'column ' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
         WHERE attname LIKE 'lifeboat%' AND NOT attisdropped AND relpersistence <> 't'`,
    );
    return [...wrong, ...left.map(({ name }) => `${name} is left`)];
  }

  /** Foreign keys that the load made and that are not there, or not validated. */
  async missingForeignKeys(): Promise<string[]> {
    const rows = await this.one.query<{ name: string; valid: boolean }>(
      "SELECT conname AS name, convalidated AS valid FROM pg_constraint WHERE contype = 'f'",
    );
    return this.plan.tables
      .flatMap(({ constraints }) => constraints)
      .filter(({ kind }) => kind === "foreign-key")
      .filter(({ name }) => !rows.some((row) => row.name === name && row.valid))
      .map(({ name }) => `foreign key ${name} is missing`);
  }

  async end(): Promise<void> {
    this.#beside?.kill();
    for (const { child, exit } of this.#writers.values()) {
      child.kill("SIGKILL");
      await exit;
    }
    for (const child of this.#verbs) child.kill("SIGKILL");
    await this.one.end();
  }

  async #startWriter(base: number): Promise<void> {
    const { path } = this.one;
    const child = spawn(
      process.execPath,
      [
        program("two-sided-writer"),
        ...["--database", path, "--side", this.#side, "--ledger", ledgerOf(path, base)],
        ...["--base", `${base}`, "--pause", `${this.#pause}`],
      ],
      { env: this.#environment(), stdio: ["pipe", "pipe", "inherit"] },
    );
    const exit = once(child, "exit");
    this.#writers.set(base, { child, exit });
    await Promise.race([once(child.stdout, "data"), exit]);
  }

  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, LIFEBOAT_TEST_URL: this.one.url };
  }

  #acknowledged(base: number, side?: Side): number[] {
    if (side) return this.#lines(base, side);
    return [...this.#lines(base, "sqlite"), ...this.#lines(base, "postgres")];
  }

  #lines(base: number, word: string): number[] {
    return readFileSync(ledgerOf(this.one.path, base), "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => Number(line.slice(word.length + 1)));
  }

  async #numbers(side: Side, sql: string): Promise<number[]> {
    if (side === "postgres")
      return (await this.one.query<{ n: string }>(sql)).map(({ n }) => Number(n));
    const db = new Database(this.one.path, { readonly: true });
    try {
      return db.prepare(sql).pluck().all() as number[];
    } finally {
      db.close();
    }
  }

  /** What a runner that was killed had sent may still be at work in the server. */
  async #untilNoBackend(): Promise<void> {
    const database = new URL(this.one.url).pathname.slice(1);
    const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = '${database}' AND application_name LIKE 'lifeboat migrate%'`;
    while ((await this.#cluster.query(sql, "postgres")).length > 0) await sleep(20);
  }
}

const ledgerOf = (path: string, base: number) => `${path}-ledger-${base}`;

function follow(child: ChildProcess): RunningVerb {
  const steps: string[] = [];
  const notes: string[] = [];
  let end: string | null = null;
  const waiting = new Set<() => void>();
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess["stdout"]> });
  lines.on("line", (line) => {
    const [word = ""] = line.split(" ", 1);
    const rest = line.slice(word.length + 1);
    if (word === "step") steps.push(rest);
    else if (word === "note") notes.push(rest);
    else if (word === "done") end = "done";
    else if (word === "failed") end = line;
    for (const look of waiting) look();
  });
  let isOver = false;
  const ended = Promise.all([once(child, "exit"), once(lines, "close")]).then(([[status]]) => {
    isOver = true;
    for (const look of waiting) look();
    return end ?? (status === null ? null : `failed with status ${status}`);
  });
  return {
    steps,
    notes,
    ended,
    async reaches(step) {
      const has = () =>
        typeof step === "number" ? steps.length > step : steps.some((title) => title === step);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const look = () => {
        if (has() || isOver) resolve(has());
      };
      waiting.add(look);
      look();
      const reached = await promise;
      waiting.delete(look);
      return reached;
    },
    kill: () => void child.kill("SIGKILL"),
    stop: () => void child.kill("SIGTERM"),
  };
}

function refusesSqlite(path: string): boolean {
  const db = new Database(path, { readonly: true });
  try {
    const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'lifeboat_state'").get();
    if (has === undefined) return false;
    return db.prepare("SELECT refused FROM lifeboat_state").pluck().get() === 1;
  } finally {
    db.close();
  }
}

function schemaOf(path: string): unknown[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema").all();
  } finally {
    db.close();
  }
}
