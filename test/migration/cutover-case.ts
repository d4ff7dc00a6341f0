import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { MigrationCase } from "./migration-case.ts";

/** What the live writer writes to: every way in which rows are told apart. */
export const LIVE_SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
  CREATE TABLE accounts(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE, balance REAL,
    UNIQUE(email) ON CONFLICT REPLACE);
  CREATE TABLE orders(id INTEGER PRIMARY KEY, account INTEGER REFERENCES accounts(id) ON DELETE CASCADE, at TEXT);
  CREATE TABLE pairs(a INTEGER, b INTEGER, v TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID;
  CREATE TABLE notes(body TEXT, tag BLOB);
  INSERT INTO accounts(email, balance) VALUES ('first@x', 1.5);
  INSERT INTO notes VALUES ('first', x'00ff'), ('first', x'00ff');
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO ledger SELECT -i, 'old ' || i FROM n;`;

const PROGRAM = fileURLToPath(new URL("./product-writer.ts", import.meta.url));

export interface LiveWriter {
  /** What was acknowledged, in order. */
  acknowledged(): number[];
  /** Settles with what it was told when its writes are refused. */
  readonly refused: Promise<string>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

let writers = 0;

export async function startLiveWriter(
  { path }: MigrationCase,
  { pause = 1 }: { pause?: number } = {},
): Promise<LiveWriter> {
  const number = ++writers;
  const ledger = `${path}-ledger-${number}`;
  writeFileSync(ledger, "");
  const child = spawn(
    process.execPath,
    [
      PROGRAM,
      "--database",
      path,
      "--ledger",
      ledger,
      "--base",
      String(number * 1_000_000),
      "--pause",
      String(pause),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const exit = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const refused = new Promise<string>((resolve) =>
    lines.on("line", (line) => {
      if (line.startsWith("refused ")) resolve(line.slice("refused ".length));
    }),
  );
  await once(lines, "line");
  return {
    acknowledged: () => readFileSync(ledger, "utf8").split("\n").slice(0, -1).map(Number),
    refused,
    async stop() {
      child.stdin.end();
      const [status] = await exit;
      if (status !== 0) throw new Error(`the writer ended with ${status}`);
    },
    async kill() {
      child.kill("SIGKILL");
      await exit;
    },
  };
}
