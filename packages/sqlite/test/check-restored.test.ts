import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { makeLedger, testFolder } from "../../../test/support/sqlite.ts";
import { checkRestored } from "../src/restore/check-restored.ts";

test.each([true, false])(
  "a copy that has other pages than its backup says gets no name, looked through or not (%s)",
  async (whole) => {
    const path = join(await testFolder(), "app.db");
    makeLedger(path);
    const database = new Database(path, { readonly: true });
    const pageCount = Number(database.pragma("page_count", { simple: true }));
    database.close();
    const right = { path, fileName: "app.db", pageSize: 4096, pageCount, whole };
    const madeOf = { backup: "the-backup", logUpTo: null };
    expect(checkRestored(path, right, madeOf)).toEqual([]);
    for (const wrong of [{ pageCount: pageCount + 1 }, { pageSize: 8192 }])
      expect(() => checkRestored(path, { ...right, ...wrong }, madeOf)).toThrow(
        expect.objectContaining({
          code: "RESTORED_COPY_DAMAGED",
          message: expect.stringContaining(`instead of ${Object.values(wrong)[0]}`),
        }),
      );
    const logUpTo = "2026-11-28T02:10:04.406Z";
    expect(() => checkRestored(path, { ...right, pageCount: 1 }, { ...madeOf, logUpTo })).toThrow(
      `the database of ${logUpTo}, to which backup the-backup and its log lead, is damaged`,
    );
  },
);
