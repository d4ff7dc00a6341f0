import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { drill, type RecoveryTarget } from "@lifeboat/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import {
  archiveInto,
  type ClusterRepository,
  repositoryBeside,
} from "../support/postgres-repository.ts";

/** A recovery makes it again at the same path, and takes what lies there for its own. */
describe("a tablespace that was made since the backup, beside its living original,", () => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let place: string;
  let before: string;

  beforeAll(async () => {
    cluster = await startCluster({ settings: { archive_mode: "on" } });
    store = await repositoryBeside(cluster);
    await archiveInto(cluster);
    await store.take();
    await cluster.query("create table early(n int)");
    before = await position();
    place = await tablespaceFolder(cluster, "since");
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
    const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_lsn() as lsn");
    return row?.lsn ?? "";
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

  test("is nothing to a recovery that ends before it was made", async () => {
    const target = { kind: "lsn", lsn: before, exclusive: false } as const;
    expect((await drilled(target)).ok).toBe(true);
    expect(await restoreBeside(cluster, store, into("early", target))).toBeTruthy();
  });
});
