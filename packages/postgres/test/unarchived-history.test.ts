import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { unarchivedHistory } from "../src/archive/unarchived-history.ts";
import { parseWalFileName } from "../src/wal/segment-name.ts";

let wal: string;
beforeEach(async () => {
  wal = await mkdtemp(join(tmpdir(), "history-"));
  await mkdir(join(wal, "archive_status"));
  await writeFile(join(wal, "00000002.history"), "1\t0/3000000\tno recovery target specified\n");
});
afterEach(() => rm(wal, { recursive: true }));

function historyOf(name: string): string | undefined {
  const file = parseWalFileName(name);
  if (!file) throw new Error(`${name} is no WAL file`);
  return unarchivedHistory(join(wal, name), file);
}

describe("the history of a segment's timeline", () => {
  test.each(["000000020000000000000003", "000000020000000000000003.partial"])(
    "goes with %s where the server never hands it over",
    (name) => expect(historyOf(name)).toBe(join(wal, "00000002.history")),
  );

  test.each(["ready", "done"])(
    "is the server's own to archive where that notes it as %s",
    async (state) => {
      await writeFile(join(wal, "archive_status", `00000002.history.${state}`), "");
      expect(historyOf("000000020000000000000003")).toBeUndefined();
    },
  );

  test.each(["000000010000000000000003", "00000002.history", "000000030000000000000003"])(
    "is none for %s",
    (name) => expect(historyOf(name)).toBeUndefined(),
  );
});
