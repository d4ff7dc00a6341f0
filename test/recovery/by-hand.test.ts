import { chown, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { backup, type Manifest, Repository, RepositoryMemory } from "@lifeboat/core";
import { programPath, runAs } from "@lifeboat/postgres";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { has } from "../support/outside-programs.ts";
import { outermostMajors, startCluster } from "../support/postgres.ts";
import { repositoryBeside } from "../support/postgres-repository.ts";

/**
 * Follows the RESTORE.md of a repository word by word: its indented blocks are run by a shell, with
 * only the names in capitals and the places filled in. No code of ours takes part in the restore.
 */
async function guideOf(repository: string): Promise<string[]> {
  const text = await readFile(join(repository, "RESTORE.md"), "utf8");
  const blocks = text.match(/(?:^ {4}.*\n)+/gm) ?? [];
  return blocks.map((block) => block.replaceAll(/^ {4}/gm, ""));
}

function blockWith(guide: readonly string[], words: string): string {
  const found = guide.filter((block) => block.includes(words));
  expect(found, words).toHaveLength(1);
  return found[0] as string;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-by-hand-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.runIf(has("sqlite3", "zstd", "sha256sum", "python3"))(
  "a SQLite database comes back by sha256sum, zstd and sqlite3",
  async () => {
    const path = join(folder, "app.db");
    await execa("sqlite3", [path, "CREATE TABLE t(v); INSERT INTO t VALUES ('kept')"]);
    const place = join(folder, "repository");
    const repository = await Repository.open({
      storage: filesystemStorage({ path: place }),
      app: "shop",
      memory: new RepositoryMemory(join(folder, "state")),
      mode: "write",
    });
    const { id } = await backup({
      repository,
      engine: sqliteEngine({ databases: [{ name: "app", path }] }),
      type: "full",
      options: {},
      signal: new AbortController().signal,
    });
    const guide = await guideOf(place);
    const script = [blockWith(guide, "sha256sum -c"), blockWith(guide, "mkdir -p /restore")]
      .join("")
      .replaceAll("APP/…/backups/ID", `shop/sqlite/app/backups/${id}`)
      .replaceAll("NAME", "app")
      .replaceAll("/restore", join(folder, "restored"));
    const { stdout } = await execa("bash", ["-ec", script], { cwd: place });
    expect(stdout.split("\n")).toEqual(["app.db.zst: OK", "ok"]);
    const { stdout: value } = await execa("sqlite3", [
      join(folder, "restored/app.db"),
      "SELECT v FROM t",
    ]);
    expect(value).toBe("kept");
  },
);

describe.runIf(has("zstd", "tar", "python3") && (await outermostMajors()).includes(15))(
  "a Postgres cluster with a tablespace",
  () => {
    test.each(["wire", "parallel"] as const)(
      "taken by %s comes back by sha256sum, zstd, tar and the server's own programs",
      async (transport) => {
        const cluster = await startCluster({ major: 15 });
        try {
          const kept = await repositoryBeside(cluster);
          const space = join(cluster.directory, "space");
          await mkdir(space, { mode: 0o700 });
          if (cluster.account.foreign) await chown(space, cluster.account.uid, cluster.account.gid);
          await cluster.query(`create tablespace aside location '${space}'`);
          await cluster.query(
            "create table ledger tablespace aside as select generate_series(1, 1000) n",
          );
          const { id } = await kept.take({ transport });
          const { manifests } = await kept.repository.backups(kept.folder);
          const details = (manifests[0] as Manifest).details as { tablespaces: [{ oid: number }] };
          const [{ oid }] = details.tablespaces;
          await cluster.crash();

          const guide = await guideOf(kept.path);
          const script = [
            blockWith(guide, "sha256sum -c"),
            blockWith(guide, "for part in base.tar.zst"),
            blockWith(guide, "for part in OID.tar.zst").replaceAll("OID", String(oid)),
            blockWith(guide, "pg_verifybackup"),
            blockWith(guide, "tablespace_map").replaceAll("OID", String(oid)),
            blockWith(guide, "recovery.signal").replace(
              "-l /restore/log start",
              "-l /restore/log -w -o '-k /restore -h \"\"' start",
            ),
          ]
            .join("")
            .replaceAll("APP/…/backups/ID", `${kept.folder.path}/backups/${id}`)
            .replaceAll("WAL/", `${kept.path}/${kept.folder.path}/wal/`)
            .replaceAll("/restore", join(cluster.directory, "r"));
          await mkdir(join(cluster.directory, "r"), { mode: 0o700 });
          if (cluster.account.foreign)
            await chown(join(cluster.directory, "r"), cluster.account.uid, cluster.account.gid);
          const bin = dirname(programPath(cluster.programs, "postgres"));
          const shell = (command: string) =>
            execa("bash", ["-ec", command], {
              ...runAs(cluster.account),
              cwd: kept.path,
              env: { PATH: `${bin}:${process.env.PATH}` },
            });
          try {
            const { stdout } = await shell(script);
            expect(stdout).toContain("base.tar.zst: OK");
            expect(stdout).toContain("backup successfully verified");
            const query = `psql -h ${join(cluster.directory, "r")} -U postgres -qAt -c 'select count(*) from ledger' app`;
            expect((await shell(query)).stdout).toBe("1000");
          } finally {
            // Not running when the script failed before it was started: the script's own error counts.
            await shell(`pg_ctl -D ${join(cluster.directory, "r/data")} -m immediate stop || true`);
          }
        } finally {
          await cluster.stop();
        }
      },
    );
  },
);
