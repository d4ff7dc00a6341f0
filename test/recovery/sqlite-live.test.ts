import { join } from "node:path";
import { test } from "vitest";
import { has } from "../support/outside-programs.ts";
import {
  expectBetween,
  expectCleanPrefix,
  makeLedger,
  startCliWriter,
  startWriter,
  testFolder,
  type Writer,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

/** Backs up and restores under the writer, and proves the copy against its ledger. */
async function backUpAndProve(app: SqliteApp, writer: Writer, round = 0): Promise<void> {
  const before = await writer.acknowledged();
  await app.backup();
  const after = await writer.acknowledged();
  const report = await app.restore(join(app.folder, `restored-${round}`));
  expectBetween(expectCleanPrefix(report.path), before, after);
}

test.each([512, 4096, 65536])(
  "a backup of a live database with pages of %i bytes is a clean prefix, five times in a row",
  async (pageSize) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path, { pageSize, rows: 500 });
    const writer = await startWriter(app.path, { rate: 1000 });
    for (let round = 0; round < 5; round++) {
      await backUpAndProve(app, writer, round);
      await writer.commits(50);
    }
  },
);

test.runIf(has("sqlite3"))(
  "a backup under the sqlite3 program as the writer is a clean prefix",
  async () => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path, { rows: 500 });
    const writer = await startCliWriter(app.path);
    for (let round = 0; round < 3; round++) {
      await backUpAndProve(app, writer, round);
      await writer.commits(20);
    }
  },
);
