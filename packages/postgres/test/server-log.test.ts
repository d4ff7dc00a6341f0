import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testFolder } from "../../../test/support/sqlite.ts";
import { ServerLog } from "../src/server/server-log.ts";

async function* two(): AsyncGenerator<string> {
  yield "LOG:  first";
  yield "FATAL:  second";
}

test("a server's log is copied to a file, and where that can't be written the lines say that it ends", async () => {
  const folder = await testFolder();
  const whole = join(folder, "server.log");
  const nowhere = join(folder, "missing", "server.log");
  const log = new ServerLog();
  for (const file of [whole, nowhere]) log.copyTo(file);
  await log.follow(two());
  expect(await readFile(whole, "utf8")).toBe("LOG:  first\nFATAL:  second\n");
  expect(log.lines().filter((line) => line.includes(nowhere))).toEqual([
    expect.stringContaining("ends before this: ENOENT"),
  ]);
  expect(log.failures()).toEqual(["FATAL:  second"]);
});
