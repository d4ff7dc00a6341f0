import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  chosenBackup,
  DatabaseFolder,
  drill,
  LifeboatError,
  type RecoveryTarget,
} from "@lifeboat/core";
import { runAs } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postgresDetails } from "../../packages/postgres/src/details.ts";
import { RecoveryWatch } from "../../packages/postgres/src/restore/prove-recovery.ts";
import { SegmentServer } from "../../packages/postgres/src/revive/segment-server.ts";
import { lsnOf } from "../../packages/postgres/src/wal/lsn.ts";
import { segmentAt, segmentName } from "../../packages/postgres/src/wal/segment-name.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
} from "../support/postgres-repository.ts";

const SEGMENT = 1 << 20;

/** A recovery makes it again at the same path, and takes what lies there for its own. */
describe("a tablespace that was made since the backup, beside its living original,", () => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let place: string;
  let before: string;
  /** Where the record of it begins. */
  let crossing: bigint;

  beforeAll(async () => {
    cluster = await startCluster({
      settings: { archive_mode: "on" },
      initdb: ["--wal-segsize=1"],
    });
    store = await repositoryBeside(cluster);
    await archiveInto(cluster);
    await store.take();
    await cluster.query("create table early(n int)");
    before = await position();
    place = await tablespaceFolder(cluster, "since");
    for (const _ of [1, 2, 3]) {
      place = join(place, "s".repeat(200));
      await mkdir(place);
      await chown(place, cluster.account.uid, cluster.account.gid);
    }
    // The pages of the catalog that it changes are in the WAL by then, and its own record is short of them.
    const earlier = await tablespaceFolder(cluster, "earlier");
    await cluster.query(`create tablespace earlier location '${earlier}'`);
    await cluster.query("drop tablespace earlier");
    crossing = segmentAt(lsnOf(await nearTheEnd()), SEGMENT);
    await cluster.query(`create tablespace since location '${place}'`);
    await cluster.query("create table late(n int) tablespace since");
    await cluster.query("select pg_create_restore_point('made')");
    const [last] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    const done = `select coalesce(last_archived_wal >= '${last?.name}', false) as done from pg_stat_archiver`;
    while (!(await cluster.query<{ done: boolean }>(done))[0]?.done) await delay(50);
  });
  afterAll(() => cluster?.stop());

  async function position(): Promise<string> {
    const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_insert_lsn() as lsn");
    return row?.lsn ?? "";
  }

  /** So near to the end of a segment that the long record of the next tablespace begins there, behind the rows of it, and ends in the next. */
  async function nearTheEnd(): Promise<string> {
    await cluster.query(`
      do $$ declare room int; begin loop
        room := ${SEGMENT} - (pg_current_wal_insert_lsn() - '0/0') % ${SEGMENT};
        exit when room between 300 and 700;
        perform pg_logical_emit_message(false, '', repeat('x', greatest(0, least(room - 700, 7000))));
      end loop; end $$`);
    return position();
  }

  const refused = { code: "TABLESPACE_IN_USE", details: { path: expect.any(String) } };
  const into = (name: string, target: RecoveryTarget) => ({
    ...{ to: join(cluster.directory, name), target, fetchCommand: ["false"] },
  });
  const drilled = (target: RecoveryTarget) =>
    drill({
      repository: store.repository,
      engines: [store.offline],
      ...{ target, checks: () => [], keep: false, signal: new AbortController().signal },
    });

  test("keeps a restore from being made", async () => {
    const target = { kind: "latest" } as const;
    await expect(restoreBeside(cluster, store, into("copy", target))).rejects.toMatchObject({
      ...refused,
      kind: "refused",
      message: expect.stringContaining(place),
      remedy: expect.stringContaining("lifeboat backup"),
    });
    expect(await readdir(cluster.directory)).not.toContain("copy");
  });

  test("stops a drill before its server reads of it", async () => {
    const entries = () => readdir(place, { recursive: true, withFileTypes: true });
    const were = await entries();
    await expect(drilled({ kind: "restore-point", name: "made" })).rejects.toMatchObject(refused);
    expect(await entries()).toEqual(were);
  });

  test("is found in a record of two segments, of which the second cannot be read at first", async () => {
    const names = [crossing, crossing + 1n].map((each) => segmentName(1, each, SEGMENT));
    const disk = filesystemStorage({ path: store.path });
    let breaks = true;
    const storage = faultyStorage(disk, {
      async *read(path, range) {
        yield* disk.read(path, range);
        if (!breaks || !path.includes(names[1] as string)) return;
        breaks = false;
        throw new LifeboatError({ code: "CUT", message: "cut", remedy: "" });
      },
    });
    const { manifests } = await store.repository.backups(store.folder);
    const plan = await store.offline.plan(store.folder, manifests, { kind: "latest" }, {});
    const { account } = cluster;
    const dataDirectory = await tablespaceFolder(cluster, "copys-data");
    for (const name of ["copys-data/pg_wal", "scratch"]) await tablespaceFolder(cluster, name);
    const scratch = join(cluster.directory, "scratch");
    const server = await SegmentServer.open({
      ...{ dataDirectory, walSegmentBytes: SEGMENT, account, scratch },
      folder: new DatabaseFolder({ ...store.folder, storage }),
      watch: (start) => new RecoveryWatch(plan, postgresDetails(chosenBackup(plan)), start),
    });
    const asks = async (name: string) => {
      const words = [join(scratch, "fetch-segment"), name, "pg_wal/RECOVERYXLOG"];
      return (await execa("sh", words, { ...runAs(account), reject: false })).exitCode;
    };
    try {
      expect([await asks(names[0] as string), await asks(names[1] as string)]).toEqual([0, 126]);
      expect(breaks).toBe(false);
      expect(server.failure).toMatchObject(refused);
    } finally {
      await server.close();
    }
  });

  test("is nothing to a recovery that ends before it was made", async () => {
    const target = { kind: "lsn", lsn: before, exclusive: false } as const;
    expect((await drilled(target)).ok).toBe(true);
    expect(await restoreBeside(cluster, store, into("early", target))).toBeTruthy();
  });
});
