import { readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BackupReport, backup, drill, type Manifest, verify } from "@lifeboat/core";
import { findPrograms, hasProgram, postgresEngine } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { logName } from "../../packages/postgres/src/wal/segment-name.ts";
import { contentOf } from "../support/content-of.ts";
import {
  availableMajors,
  combinableMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { restoreBeside, runProgram } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const never = new AbortController().signal;

const majors = await availableMajors();

describe.each(await combinableMajors())(
  "incremental backups of a server of version %i",
  (major) => {
    let cluster: TestCluster;
    let kept: ClusterRepository;

    beforeAll(async () => {
      cluster = await startCluster({ major });
      await cluster.query("alter system set summarize_wal = on");
      await cluster.query("select pg_reload_conf()");
      kept = await repositoryBeside(cluster);
      await cluster.query(
        "create table big as select n, repeat(md5(n::text), 30) as filler from generate_series(1, 20000) n",
      );
      await cluster.query("create table ledger(n int primary key)");
    });
    afterAll(() => cluster?.stop());

    async function take(
      type: "full" | "incremental",
      options: Parameters<ClusterRepository["take"]>[0] = {},
    ): Promise<BackupReport> {
      await cluster.query("insert into ledger select coalesce(max(n), 0) + 1 from ledger");
      const { repository } = kept;
      const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
      return backup({ repository, engine, type, options, signal: never });
    }

    async function newest(): Promise<Manifest> {
      const { manifests } = await kept.repository.backups(kept.folder);
      return manifests.at(-1) as Manifest;
    }

    /** What keeps an incremental backup from building on the newest one, if its details were these. */
    async function obstacle(details: Manifest["details"]) {
      const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
      return engine.obstacleToBuildOn?.(kept.folder, [{ ...(await newest()), details }]);
    }

    /** What a copy of that backup holds, brought to life in private. */
    async function drillOf(id: string, checks: Record<string, string>) {
      return drill({
        repository: kept.repository,
        engines: [kept.offline],
        target: { kind: "backup", id },
        checks: () => Object.entries(checks).map(([name, sql]) => ({ name, sql })),
        keep: false,
        signal: never,
      });
    }

    async function segmentOf(lsn: unknown): Promise<string> {
      const asked = `select pg_walfile_name(pg_lsn '${lsn}' - 1) as name`;
      return (await cluster.query<{ name: string }>(asked))[0]?.name ?? "";
    }

    const rowsUpTo = (n: number) => ({ ledger: `select count(*) = ${n} from ledger` });
    const ledger = async () =>
      Number((await cluster.query<{ n: string }>("select count(*) as n from ledger"))[0]?.n);

    test("hold what changed, name what they build on, and restore to their own state through the whole chain", async () => {
      const full = await take("full");
      await cluster.query("update big set filler = repeat('x', 900) where n <= 200");
      const first = await take("incremental");
      const afterFirst = await ledger();
      await cluster.query("delete from big where n > 19900");
      await cluster.query("create table late as select 7 as seven");
      const second = await take("incremental");
      expect(first).toMatchObject({ type: "incremental", parent: full.id });
      expect(first.id).toMatch(/-incr$/);
      expect(second.parent).toBe(first.id);
      expect(first.storedBytes).toBeLessThan(full.storedBytes / 4);
      const changed = { name: "changed", sql: "" };
      changed.sql = "select count(*) = 200 from big where filler = repeat('x', 900)";
      const one = await drillOf(first.id, { ...rowsUpTo(afterFirst), changed: changed.sql });
      expect(one.checks.filter(({ ok }) => !ok)).toEqual([]);
      const two = await drillOf(second.id, {
        ...rowsUpTo(afterFirst + 1),
        gone: "select max(n) = 19900 from big",
        late: "select seven = 7 from late",
      });
      expect(two.checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(two).toMatchObject({ ok: true, backup: second.id });
    });

    test("are put together into what pg_verifybackup finds whole, with every tablespace in its place", async () => {
      const old = await tablespaceFolder(cluster, "space");
      const place = await tablespaceFolder(cluster, "space=copy");
      await cluster.query(`create tablespace space location '${old}'`);
      await cluster.query(
        "create table far tablespace space as select n, repeat('y', 400) from generate_series(1, 3000) n",
      );
      try {
        await take("full");
        await cluster.query("update far set repeat = 'z' where n = 1000");
        const { id } = await take("incremental");
        const copy = await restoreBeside(cluster, kept, {
          target: { kind: "backup", id },
          tablespaceMapping: new Map([[old, place]]),
          fetchCommand: ["false"],
        });
        const programs = await findPrograms({ major, needs: ["pg_verifybackup"] });
        const checked = await runProgram({ ...cluster, programs }, "pg_verifybackup", [
          "--no-parse-wal",
          // Rewritten by the restore: where tablespaces went, how it recovers.
          ...["postgresql.auto.conf", "recovery.signal", "tablespace_map"].map(
            (name) => `--ignore=${name}`,
          ),
          copy.path,
        ]);
        expect(checked.all).toContain("backup successfully verified");
        await rm(copy.path, { recursive: true });
        await rm(place, { recursive: true });
        const drilled = await drillOf(id, {
          far: "select count(*) = 1 from far where repeat = 'z'",
        });
        expect(drilled.checks.filter(({ ok }) => !ok)).toEqual([]);
      } finally {
        await cluster.query("drop table far");
        await cluster.query("drop tablespace space");
      }
    });

    test("are brought into a standing directory by what differs, as a restore beside makes it", async () => {
      const far = await tablespaceFolder(cluster, "far");
      const near = await tablespaceFolder(cluster, "near");
      await cluster.query(`create tablespace far location '${far}'`);
      await cluster.query(
        "create table cut as select n, repeat('c', 300) from generate_series(1, 5000) n",
      );
      await cluster.query(
        "create table gone tablespace far as select n, repeat('g', 300) from generate_series(1, 2000) n",
      );
      const to = join(cluster.directory, "standing");
      const into = { to, tablespaceMapping: new Map([[far, near]]), fetchCommand: ["false"] };
      const stateOf = (id: string) => ({ ...into, target: { kind: "backup", id } as const });
      const found = async () => {
        const all = [await contentOf(to), await contentOf(near)];
        // It would list the changes, and not the files that are made of them.
        for (const files of all) files.delete("backup_manifest");
        return all;
      };
      const clear = async () => {
        for (const place of [to, near]) await rm(place, { recursive: true });
      };
      try {
        const full = await take("full");
        await cluster.query("update big set filler = repeat('d', 900) where n % 1000 = 7");
        await cluster.query(
          "create table fresh tablespace far as select generate_series(1, 30000) n",
        );
        await take("incremental");
        await cluster.query("delete from cut where n > 1000");
        await cluster.query("vacuum (truncate) cut");
        await cluster.query(
          "insert into big select n, repeat('e', 900) from generate_series(30001, 33000) n",
        );
        await cluster.query("update fresh set n = -n where n % 5000 = 0");
        await cluster.query("drop table gone");
        const second = await take("incremental");
        await restoreBeside(cluster, kept, stateOf(second.id));
        const expected = await found();
        // From its own state, and from the oldest.
        const again = await restoreBeside(cluster, kept, { ...stateOf(second.id), delta: true });
        expect(await found()).toEqual(expected);
        expect(again.delta?.bytesKept).toBeGreaterThan(4 * (again.delta?.bytesWritten ?? 0));
        await clear();
        await restoreBeside(cluster, kept, stateOf(full.id));
        await writeFile(join(to, "base", "INCREMENTAL.1"), "foreign");
        await restoreBeside(cluster, kept, { ...stateOf(second.id), delta: true });
        expect(await found()).toEqual(expected);
        const { delta } = await restoreBeside(cluster, kept, { ...stateOf(full.id), delta: true });
        expect(delta?.bytesKept).toBeGreaterThan(delta?.bytesWritten ?? 0);
      } finally {
        await clear();
        for (const table of ["cut", "fresh", "gone"])
          await cluster.query(`drop table if exists ${table}`);
        await cluster.query("drop tablespace far");
      }
    });

    test("build on a backup that pg_basebackup took as well", async ({ skip }) => {
      if (!(await hasProgram(cluster.programs, "pg_basebackup"))) skip("there is no pg_basebackup");
      const full = await take("full", { transport: "pg_basebackup" });
      await cluster.query("update big set filler = 'w' where n = 5");
      const incremental = await take("incremental");
      expect(incremental).toMatchObject({ type: "incremental", parent: full.id });
      expect(incremental.storedBytes).toBeLessThan(full.storedBytes / 4);
    });

    test("become full ones where the server may have been put back since, or stands before the end of the newest", async () => {
      await take("full");
      const { serverStartedAt, ...details } = (await newest()).details;
      const later = "FFFFFF/0";
      expect(await obstacle({ ...details, serverStartedAt, stopLsn: later })).toMatchObject({
        severity: "warning",
        summary: expect.stringContaining(`before ${later}`),
      });
      await cluster.restart();
      for (let round = 0; round < 2; round++) {
        await cluster.query("update big set filler = 'far from it' where n = 3");
        await cluster.query("select pg_switch_wal()");
        await cluster.query("checkpoint");
      }
      expect(await obstacle(details)).toMatchObject({
        summary: expect.stringContaining("does not tell in which run of the server"),
      });
      const { type, findings } = await take("incremental");
      expect([type, findings[0]]).toEqual([
        "full",
        expect.objectContaining({
          id: "incremental-became-full",
          severity: "info",
          summary: expect.stringContaining("the server was started anew at "),
        }),
      ]);
    });

    test("go on after a restart or a promotion where the server still has the WAL in which the newest ended, of the same past", async () => {
      const { dataDirectory: own, directory } = cluster;
      const [older, newer] = [join(directory, "older"), join(directory, "newer")];
      await cluster.query("alter system set wal_keep_size = '128MB'");
      await cluster.server.stop();
      await execa("cp", ["-a", own, older]);
      await cluster.restart();
      const full = await take("full");
      await cluster.query("update big set filler = 'r' where n = 11");
      await cluster.query("select pg_switch_wal()");
      const { details } = await newest();
      const segment = kept.file(kept.folder.logPath(logName(await segmentOf(details.stopLsn))));
      const becameFull = { id: "incremental-became-full" };

      await cluster.restart();
      expect(await obstacle(details)).toBeNull();
      const stored = await readFile(segment);
      await truncate(segment, stored.length - 1);
      expect(await obstacle(details)).toMatchObject(becameFull);
      await writeFile(segment, stored);

      // Put back to an older state, and past the backup's end by now.
      await cluster.server.stop();
      await rename(own, newer);
      await rename(older, own);
      await cluster.restart();
      for (let round = 0; round < 4; round++)
        await cluster.query("update big set filler = 's' where n = 12; select pg_switch_wal()");
      expect(await obstacle(details)).toMatchObject(becameFull);
      await cluster.server.stop();
      await rm(own, { recursive: true });
      await rename(newer, own);
      // A standby that had all of its predecessor's WAL, and took over.
      await writeFile(join(own, "standby.signal"), "");
      await cluster.restart();
      await cluster.query("select pg_promote()");

      const { id, type, parent } = await take("incremental");
      expect([type, parent]).toEqual(["incremental", full.id]);
      const drilled = await drillOf(id, {
        ...rowsUpTo(await ledger()),
        changed: "select filler = 'r' from big where n = 11",
      });
      expect(drilled.checks.filter(({ ok }) => !ok)).toEqual([]);
      await cluster.query("alter system reset wal_keep_size");
      await cluster.query("select pg_reload_conf()");
    });

    test("of which a parent is missing are passed over, and refused by name", async () => {
      await take("full");
      const full = await take("full");
      const incremental = await take("incremental");
      await rm(kept.file(kept.folder.backupPath(full.id)), { recursive: true });
      await expect(
        restoreBeside(cluster, kept, { target: { kind: "backup", id: incremental.id } }),
      ).rejects.toMatchObject({
        code: "BACKUP_PARENT_MISSING",
        message: expect.stringContaining(full.id),
      });
      const found = await verify({
        ...{ repository: kept.repository, engines: [kept.offline] },
        ...{ deep: false, signal: never },
      });
      expect(found.problems).toContainEqual(
        expect.objectContaining({
          code: "BACKUP_PARENT_MISSING",
          message: expect.stringContaining(incremental.id),
        }),
      );
      const { manifests } = await kept.repository.backups(kept.folder);
      const { backups } = await kept.offline.plan(kept.folder, manifests, { kind: "latest" }, {});
      expect(backups.map(({ id }) => id)).not.toContain(incremental.id);
      await rm(kept.file(kept.folder.backupPath(incremental.id)), { recursive: true });
    });

    test("leave nothing beside the copy when a part of the chain is damaged", async () => {
      await take("full");
      const { id } = await take("incremental");
      const base = kept.file(`${kept.folder.backupPath(id)}/base.tar.zst`);
      const to = join(cluster.directory, "damaged");
      await truncate(base, 1000);
      await expect(
        restoreBeside(cluster, kept, { target: { kind: "backup", id }, to }),
      ).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
      const left = await readdir(cluster.directory);
      expect(left.filter((name) => name.includes("damaged"))).toEqual([]);
      await rm(kept.file(kept.folder.backupPath(id)), { recursive: true });
    });

    describe("are refused with a way out", () => {
      beforeEach(() => take("full"));

      test("through pg_basebackup", async () => {
        await expect(take("incremental", { transport: "pg_basebackup" })).rejects.toMatchObject({
          code: "TRANSPORT_UNFIT",
          remedy: expect.stringContaining("--transport wire"),
        });
      });

      test("where WAL summaries are gone", async () => {
        const summarize = async (on: "on" | "off") => {
          await cluster.query(`alter system set summarize_wal = ${on}`);
          await cluster.query("select pg_reload_conf()");
        };
        await summarize("off");
        // WAL that was never summarized is given to other use.
        for (let round = 0; round < 3; round++) {
          await cluster.query("update big set filler = 'gone' where n = 1");
          await cluster.query("select pg_switch_wal()");
          await cluster.query("checkpoint");
        }
        await summarize("on");
        await expect(take("incremental")).rejects.toMatchObject({
          code: "WAL_SUMMARIES_MISSING",
          remedy: expect.stringContaining("wal_summary_keep_time"),
        });
      });

      test("where summaries are off", async () => {
        await cluster.query("alter system set summarize_wal = off");
        await cluster.query("select pg_reload_conf()");
        await expect(take("incremental")).rejects.toMatchObject({
          code: "WAL_SUMMARIES_OFF",
          kind: "usage",
          remedy: expect.stringContaining("summarize_wal = on"),
        });
      });
    });
  },
);

test("an incremental backup of a server that is too old for it is refused with its version", async () => {
  const cluster = await startCluster({ major: majors[0] as number });
  try {
    const { repository, engine, take } = await repositoryBeside(cluster);
    await take();
    await expect(
      backup({ repository, engine, type: "incremental", options: {}, signal: never }),
    ).rejects.toMatchObject({ code: "INCREMENTAL_UNSUPPORTED", kind: "usage" });
  } finally {
    await cluster.stop();
  }
});
