import { join } from "node:path";
import { WatchNotes } from "@lifeboat/core";
import { afterEach, expect, test } from "vitest";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";
import { newestLineageEnd, withRest } from "../../packages/sqlite/src/watch/resume.ts";
import { ledgerApp } from "../support/ledger-app.ts";
import { closeHistories, history } from "../support/sqlite-history.ts";

afterEach(closeHistories);

test("a watch goes on behind the last segment, and from the file at rest only where its last note is of that very end", async () => {
  const app = await ledgerApp();
  const { states } = await history(
    app,
    [1, 2, 3].map((v) => `UPDATE counter SET v = ${v}`),
  );
  const { folder, manifests } = await app.manifests();
  const end = await newestLineageEnd(folder, manifests);
  if (!end) throw new Error("there is no lineage");
  expect(end).toMatchObject({ seat: { number: 4 }, instant: states.at(-1)?.at });
  const [lineage = ""] = (await lineagesOf(folder)).keys();
  expect(end.seat.lineage).toBe(lineage);
  const rest = { dev: "1", ino: "2", size: "3", mtimeNs: "4", ctimeNs: "5" };
  const directory = join(app.folder, "memory");
  const noted = async (idle: object) => {
    const until = new Date().toISOString();
    await new WatchNotes(directory).write(folder, { idle: { until, rest, ...idle } });
    return (await withRest(end, folder, directory)).rest;
  };
  expect(await noted({ lineage, number: 3 })).toEqual(rest);
  // Such as of a repository that was brought back from an older copy: the file holds more than its log does.
  expect(await noted({ lineage, number: 4 })).toBeUndefined();
  expect(await noted({ lineage, number: 2 })).toBeUndefined();
  expect(await noted({ lineage: "20261122T101500.123Z-1f2e3d4c", number: 3 })).toBeUndefined();
});
