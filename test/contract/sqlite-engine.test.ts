import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { sqliteEngine } from "@lifeboat/sqlite";
import { engineContract } from "./engine.contract.ts";

const shell = fileURLToPath(new URL("../support/sqlite-shell.ts", import.meta.url));

engineContract("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-sqlite-contract-"));
  const path = join(folder, "app.db");
  const app = spawn(process.execPath, [shell, path], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: app.stdout })[Symbol.asyncIterator]();
  // One at a time: each answer belongs to the statement before it.
  let before: Promise<unknown> = Promise.resolve();
  const ask = (sql: string): Promise<unknown[][]> => {
    const answer = before.then(async () => {
      app.stdin.write(`${JSON.stringify(sql)}\n`);
      return JSON.parse(String((await answers.next()).value));
    });
    before = answer;
    return answer;
  };
  await ask("PRAGMA journal_mode=WAL");
  await ask("CREATE TABLE ledger(n INTEGER PRIMARY KEY, filler BLOB)");
  await ask("CREATE TABLE ballast AS SELECT zeroblob(3000000) AS b");
  return {
    live: sqliteEngine({ databases: [{ name: "app", path }] }),
    offline: sqliteEngine({ databases: [] }),
    write: async () => {
      const rows = await ask("INSERT INTO ledger(filler) VALUES (zeroblob(100)) RETURNING n");
      return rows[0]?.[0] as number;
    },
    servesBackupsOnly: (object) => object.endsWith("-pages.zst"),
    close: async () => {
      app.stdin.end();
      await once(app, "exit");
      await rm(folder, { recursive: true });
    },
  };
});
