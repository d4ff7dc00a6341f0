import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PATIENCE } from "../../../test/support/patience.ts";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import {
  type ClusterRepository,
  repositoryBeside,
} from "../../../test/support/postgres-repository.ts";
import { withClient } from "../src/connection/connection.ts";
import { awaitArchive, type NeededWal } from "../src/snapshot/wal.ts";

const MIB = 1 << 20;

let cluster: TestCluster;
let kept: ClusterRepository;

beforeAll(async () => {
  cluster = await startCluster({ archiveCommand: "false" });
  kept = await repositoryBeside(cluster);
  await cluster.query("create table t as select 1");
  await cluster.query("select pg_switch_wal()");
  await vi.waitFor(async () => {
    const [row] = await cluster.query<{ failed: number }>(
      "select failed_count::int as failed from pg_stat_archiver",
    );
    expect(row?.failed).toBeGreaterThan(0);
  }, PATIENCE);
});
afterAll(() => cluster?.stop());

const needed: NeededWal = {
  timeline: 1,
  start: BigInt(2 * 16 * MIB) + 40n,
  stop: BigInt(4 * 16 * MIB),
  segmentBytes: 16 * MIB,
  endIsWritten: true,
};

function wait(patienceMs: number, signal = new AbortController().signal) {
  return withClient({ url: cluster.superuserUrl }, (client) =>
    awaitArchive({ folder: kept.folder, client, needed, report: () => {}, signal, patienceMs }),
  );
}

/** Puts a segment there as another server's archiver would; of its content nothing is asked here. */
async function arrives(name: string): Promise<void> {
  await kept.folder.storeLog(`00000001/${name}`, async function* () {
    yield Buffer.from(name);
  });
}

test("waiting ends when it is stopped", async () => {
  const stop = new AbortController();
  const waiting = wait(PATIENCE.timeout, stop.signal);
  setImmediate(() => stop.abort());
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
});

test("the segment that does not come is named, with what the archiver says", async () => {
  await arrives("000000010000000000000002");
  await expect(wait(300)).rejects.toMatchObject({
    code: "WAL_NOT_ARCHIVED",
    message: expect.stringMatching(
      /segment 000000010000000000000003.*archive_command failed \d+ times/,
    ),
    remedy: expect.stringContaining("--wal stream"),
  });
});

test("waiting ends with the last segment before the stop position", async () => {
  const waiting = wait(PATIENCE.timeout);
  await arrives("000000010000000000000003");
  await expect(waiting).resolves.toBeUndefined();
});
