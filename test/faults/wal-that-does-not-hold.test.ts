import { join } from "node:path";
import { allObjects, backup, Repository, RepositoryMemory, type Storage } from "@lifeboat/core";
import { postgresDetails } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faultyStorage, whole } from "../support/faulty-storage.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
beforeAll(async () => {
  cluster = await startCluster({ initdb: ["--wal-segsize=1"] });
  kept = await repositoryBeside(cluster);
});
afterAll(() => cluster?.stop());

async function position(): Promise<string> {
  const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
  return row?.lsn as string;
}

test("a backup's WAL reaches from its start to its stop, within what the server wrote meanwhile", async () => {
  const before = await position();
  const { id } = await kept.take({ transport: "wire" });
  const { manifests } = await kept.repository.backups(kept.folder);
  const manifest = manifests.find((each) => each.id === id);
  const { startLsn, stopLsn } = postgresDetails(manifest as NonNullable<typeof manifest>);
  const [row] = await cluster.query(
    `select '${before}'::pg_lsn <= '${startLsn}' and '${startLsn}'::pg_lsn < '${stopLsn}'
        and '${stopLsn}'::pg_lsn <= '${await position()}' as ordered`,
  );
  expect(row).toEqual({ ordered: true });
  for (const lsn of [startLsn, stopLsn]) {
    const [segment] = await cluster.query<{ name: string }>(
      `select pg_walfile_name('${lsn}'::pg_lsn - 1) as name`,
    );
    const name = segment?.name as string;
    expect(await kept.folder.statLog(`${name.slice(0, 8)}/${name}`), lsn).toBeDefined();
  }
});

test.each([
  ["damages", "CHECKSUM_MISMATCH", (bytes: Buffer) => bytes.fill(0, 0, 100)],
  ["loses", "WAL_GAP", () => undefined],
])("a storage that %s WAL as it is stored never holds a backup that needs it", async (...fault) => {
  const [word, code, change] = fault;
  const path = join(cluster.directory, `storage-that-${word}`);
  const repository = await Repository.open({
    storage: faulty(path, change),
    app: "test",
    memory: new RepositoryMemory(join(cluster.directory, `memory-that-${word}`)),
    mode: "write",
  });
  const signal = new AbortController().signal;
  const taking = backup({ repository, engine: kept.engine, type: "full", options: {}, signal });
  await expect(taking).rejects.toMatchObject({ code });
  const left = await Array.fromAsync(allObjects(repository.storage, "test/postgres/"));
  expect(left.filter(({ path: object }) => object.includes("/backups/"))).toEqual([]);
});

/** A disk that answers "written" to whole WAL segments and keeps something else. */
function faulty(path: string, change: (bytes: Buffer) => Buffer | undefined): Storage {
  const disk = filesystemStorage({ path });
  return faultyStorage(disk, {
    create: async (object, content) => {
      if (!object.includes("/wal/")) return disk.create(object, content);
      const bytes = await whole(content);
      const changed = change(Buffer.from(bytes));
      if (changed) await disk.create(object, changed);
      return bytes.length;
    },
  });
}
