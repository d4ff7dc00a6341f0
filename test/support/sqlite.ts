import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { expect, onTestFinished } from "vitest";
import { PATIENCE } from "./patience.ts";

/** A folder of its own for a test, removed at its end. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface LedgerShape {
  readonly pageSize?: number;
  readonly journalMode?: "wal" | "delete";
  /** Rows to begin with, of some 4 KiB each. */
  readonly rows?: number;
}

/** Makes a database that the writer can write to, closed again. */
export function makeLedger(path: string, shape: LedgerShape = {}): void {
  const { pageSize = 4096, journalMode = "wal", rows = 50 } = shape;
  const database = new Database(path);
  try {
    database.pragma(`page_size = ${pageSize}`);
    database.pragma(`journal_mode = ${journalMode}`);
    database.exec(`
      CREATE TABLE ledger(seq INTEGER PRIMARY KEY, payload BLOB NOT NULL);
      CREATE INDEX ledger_payload ON ledger(substr(payload, 1, 16));
      CREATE TABLE counter(v INTEGER NOT NULL);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
        INSERT INTO ledger SELECT i, randomblob(4000) FROM n;
      INSERT INTO counter VALUES (${rows});
    `);
  } finally {
    database.close();
  }
}

export interface Writer {
  readonly pid: number;
  /** The number of the newest commit that was acknowledged. */
  acknowledged(): Promise<number>;
  /** Resolves when that many more commits were acknowledged than at the call. */
  commits(more: number): Promise<void>;
  /** All that was acknowledged, in order. */
  ledger(): Promise<{ seq: number; acknowledgedAt: number; milliseconds: number }[]>;
  /** Ends it in its own time, last connection closed, or by SIGKILL. */
  stop(how?: "SIGKILL"): Promise<void>;
}

/** Starts the writer process and waits for its first commits. It ends with the test. */
export async function startWriter(
  path: string,
  options: {
    rate?: number;
    autocheckpoint?: number;
    payload?: number;
    journal?: string;
    /** Commits as often as `commits` is asked to wait for, and as often again; no more. */
    paced?: boolean;
  } = {},
): Promise<Writer> {
  const ledger = `${path}.ledger-${Math.random().toString(36).slice(2)}`;
  await writeFile(ledger, "");
  const program = fileURLToPath(new URL("./sqlite-writer.ts", import.meta.url));
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(
    process.execPath,
    [program, `--database=${path}`, `--ledger=${ledger}`, ...flags],
    { stdio: ["pipe", "inherit", "inherit"] },
  );
  return begun(child, ledger, options.paced);
}

/** The same with the `sqlite3` program as the writer, an older SQLite than ours on most systems. */
export async function startCliWriter(path: string): Promise<Writer> {
  const ledger = `${path}.ledger-${Math.random().toString(36).slice(2)}`;
  await writeFile(ledger, "");
  const program = fileURLToPath(new URL("./sqlite-cli-writer.ts", import.meta.url));
  const child = spawn(process.execPath, [program, path, ledger], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  return begun(child, ledger);
}

export interface Process {
  readonly child: ChildProcess;
  /** Ends it and waits until it is gone. */
  kill(): Promise<void>;
}

export type Behaviour = "read" | "write" | "idle" | "exclusive" | "spill" | "checkpoint";

/** Starts another process at work on the database (`sqlite-bystander.ts`). It ends with the test. */
export async function startBystander(path: string, behaviour: Behaviour): Promise<Process> {
  const bystander = startScript("sqlite-bystander.ts", [path, behaviour]);
  await heard(bystander, "ready");
  return bystander;
}

/** Starts a program of this folder. It ends with the test. */
export function startScript(name: string, args: readonly string[]): Process {
  const program = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  return { child, kill };
}

/** Waits until a process said a word; false when it ended without. */
export function heard({ child }: Process, word: string): Promise<boolean> {
  let text = "";
  return new Promise((resolve) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(word)) resolve(true);
    });
    child.once("exit", () => resolve(text.includes(word)));
  });
}

async function begun(child: ChildProcess, ledger: string, paced = false): Promise<Writer> {
  const writer = writerOf(child, ledger, paced);
  onTestFinished(() => writer.stop("SIGKILL"));
  await writer.commits(20);
  return writer;
}

function writerOf(child: ChildProcess, ledger: string, paced: boolean): Writer {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const lines = async () => (await readFile(ledger, "utf8")).split("\n").slice(0, -1);
  const acknowledged = async () => Number((await lines()).at(-1)?.split(" ")[0] ?? 0);
  return {
    pid: child.pid as number,
    acknowledged,
    async commits(more) {
      const from = (await lines()).length;
      if (paced) child.stdin?.write("+".repeat(2 * more));
      await until(async () => {
        if (child.exitCode !== null) throw new Error(`the writer ended: ${child.exitCode}`);
        return (await lines()).length >= from + more;
      });
    },
    async ledger() {
      return (await lines()).map((line) => {
        const [seq = 0, acknowledgedAt = 0, milliseconds = 0] = line.split(" ").map(Number);
        return { seq, acknowledgedAt, milliseconds };
      });
    },
    async stop(how) {
      if (how) child.kill(how);
      else child.stdin?.end();
      if (child.exitCode === null && child.signalCode === null) await ended;
    },
  };
}

/** Waits until a condition holds. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE.timeout;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Expects a copy to be a sound, clean prefix of what the writer did: everything up to one commit, and
 * nothing after it.
 * @returns the number of that commit
 */
export function expectCleanPrefix(path: string): number {
  const copy = new Database(path, { readonly: true, fileMustExist: true });
  try {
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    const [row] = copy
      .prepare(
        "SELECT count(*) AS rows, max(seq) AS newest, (SELECT v FROM counter) AS v FROM ledger",
      )
      .all() as { rows: number; newest: number; v: number }[];
    expect(row?.rows).toBe(row?.newest);
    expect(row?.v).toBe(row?.newest);
    return row?.newest as number;
  } finally {
    copy.close();
  }
}

/** Expects that a copy holds all that was acknowledged before, and nothing that came after. */
export function expectBetween(newest: number, before: number, after: number): void {
  expect(newest).toBeGreaterThanOrEqual(before);
  // One commit may be done whose line in the ledger is not written yet.
  expect(newest).toBeLessThanOrEqual(after + 1);
}

/** As a disk does that gives back something else than was written. */
export async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether a process runs; one that only waits for its parent to notice does not (Linux). */
export async function isRunning(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") X");
  return !/\) [ZX]/.test(state);
}
