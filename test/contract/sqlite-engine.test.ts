import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteEngine } from "@lifeboat/sqlite";
import { execa } from "execa";
import { engineContract } from "./engine.contract.ts";

engineContract("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-sqlite-contract-"));
  const path = join(folder, "app.db");
  // Every commit is by a process of its own: nothing of the engine shares it.
  const sql = async (text: string) =>
    (await execa("sqlite3", ["-cmd", ".timeout 60000", path, text])).stdout;
  await sql("PRAGMA journal_mode=WAL; CREATE TABLE ledger(n INTEGER PRIMARY KEY, filler BLOB);");
  await sql(
    "CREATE TABLE ballast AS SELECT zeroblob(1000000) AS b FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3);",
  );
  return {
    live: sqliteEngine({ databases: [{ name: "app", path }] }),
    offline: sqliteEngine({ databases: [] }),
    write: async () =>
      Number(await sql("INSERT INTO ledger(filler) VALUES (zeroblob(100)) RETURNING n;")),
    close: () => rm(folder, { recursive: true }),
  };
});
