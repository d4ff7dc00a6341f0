import { appendFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { emptySegment } from "../../../test/support/empty-segment.ts";
import { faultyMemory } from "../../../test/support/faulty-storage.ts";
import { ownAccount } from "../src/files/account.ts";
import { SegmentServer } from "../src/revive/segment-server.ts";
import { logName, segmentName } from "../src/wal/segment-name.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
const nameOf = (number: bigint) => segmentName(1, number, SEGMENT);

/** A server of segments 1 to 3, from a repository that keeps a reader of the second waiting. */
async function servingFromASlowRepository() {
  const asked = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const storage = faultyMemory((memory) => ({
    async *read(path, range) {
      if (path.includes(nameOf(2n))) {
        asked.resolve();
        await letGo.promise;
      }
      yield* memory.read(path, range);
    },
  }));
  const folder = clusterFolder({ storage });
  for (const number of [1n, 2n, 3n])
    await folder.storeLog(logName(nameOf(number)), async function* () {
      yield emptySegment({ system: 7n, number });
    });
  const root = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [scratch, pgWal] = [join(root, "scratch"), join(root, "pg_wal")];
  for (const path of [scratch, pgWal]) await mkdir(path);
  const served: string[] = [];
  const server = await SegmentServer.open({
    ...{ folder, dataDirectory: root, walSegmentBytes: SEGMENT, account: ownAccount(), scratch },
    onServed: (name) => served.push(name),
  });
  const request = (number: bigint) =>
    appendFile(join(scratch, "request"), `${nameOf(number)} pg_wal/RECOVERYXLOG\n`);
  return { server, request, served, pgWal, asked: asked.promise, letGo: letGo.resolve };
}

test.each([
  "while the file that was asked for is on its way",
  "while the next file is fetched ahead",
])("one that is closed %s waits for it, and leaves nothing of it", async (when) => {
  const { server, request, served, pgWal, asked, letGo } = await servingFromASlowRepository();
  await request(1n);
  await vi.waitFor(() => expect(served).toHaveLength(1));
  await asked;
  if (when.includes("asked for")) await request(2n);
  // The request is heard by then: what the pipe holds was written before what is read from it now.
  await new Promise(setImmediate);
  const closed = server.close();
  letGo();
  await closed;
  expect(server.failure).toBeUndefined();
  expect((await readdir(pgWal)).filter((name) => name.startsWith("lifeboat-"))).toEqual([]);
});
