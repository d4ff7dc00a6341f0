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
    expect(checkRestored(path, right, "the-backup")).toEqual([]);
    for (const wrong of [{ pageCount: pageCount + 1 }, { pageSize: 8192 }])
      expect(() => checkRestored(path, { ...right, ...wrong }, "the-backup")).toThrow(
        expect.objectContaining({
          code: "RESTORED_COPY_DAMAGED",
          message: expect.stringContaining(`instead of ${Object.values(wrong)[0]}`),
        }),
      );
  },
);
