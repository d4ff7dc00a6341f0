import { chown, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { backup, type Manifest, Repository, RepositoryMemory } from "@lifeboat/core";
import { postgresEngine, programPath, runAs } from "@lifeboat/postgres";
import { CompactionState, compactLog, sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { has } from "../support/outside-programs.ts";
import { combinableMajors, outermostMajors, startCluster } from "../support/postgres.ts";
import { repositoryBeside } from "../support/postgres-repository.ts";
import { makeLedger } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history, type State } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

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
afterEach(closeHistories);
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
    expect(stdout.split("\n")).toEqual(["app.db-pages.zst: OK", "app.db.zst: OK", "ok"]);
    const { stdout: value } = await execa("sqlite3", [
      join(folder, "restored/app.db"),
      "SELECT v FROM t",
    ]);
    expect(value).toBe("kept");
  },
);

test.runIf(has("sqlite3", "zstd", "sha256sum", "python3")).each(["wal", "delete"] as const)(
  "an incremental backup of a database in journal mode %s comes back by the same programs",
  async (journalMode) => {
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path, { journalMode });
    const ids = [(await app.backup()).id];
    for (const sql of [
      "DELETE FROM ledger WHERE seq > 20",
      "VACUUM",
      "CREATE TABLE more AS SELECT * FROM ledger",
    ]) {
      await execa("sqlite3", [app.path, sql]);
      ids.push((await app.backupIncrement()).id);
    }
    const guide = await guideOf(join(folder, "repository"));
    const script = ids
      .flatMap((id, index) => [
        "(",
        blockWith(guide, "sha256sum -c").replaceAll(
          "APP/…/backups/ID",
          `product/sqlite/app/backups/${id}`,
        ),
        index === 0
          ? blockWith(guide, "mkdir -p /restore")
          : blockWith(guide, "NAME.db-wal.zst -o"),
        ")\n",
      ])
      .join("")
      .replaceAll("NAME", "app")
      .replaceAll("/restore", join(folder, "restored"));
    const { stdout } = await execa("bash", ["-ec", script], { cwd: join(folder, "repository") });
    expect(stdout).not.toContain("FAILED");
    const said = stdout.split("\n").filter((line) => /^\d/.test(line));
    expect(said).toHaveLength(3);
    for (const line of said) expect(line).toMatch(/^0\|([1-9]\d*)\|\1$/);
    expect(dumpOf(join(folder, "restored/app.db"))).toBe(dumpOf(app.path));
  },
);

test.runIf(has("sqlite3", "zstd", "sha256sum"))(
  "an instant comes back from a backup and its log by the same programs, merged objects among them",
  async () => {
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path);
    await app.backup();
    const recorder = await Recorder.begin(app, "incremental");
    const start = (Math.floor(Date.now() / 3_600_000) + 1) * 3_600_000;
    let seconds = 0;
    recorder.clock = () => start + seconds * 1000;
    const states: State[] = [];
    for (const sql of [
      "UPDATE counter SET v = 1",
      "CREATE TABLE big AS SELECT * FROM ledger",
      "DROP TABLE big",
      "VACUUM",
      "UPDATE counter SET v = 2",
      "CREATE TABLE later AS SELECT seq FROM ledger",
    ]) {
      seconds += 25;
      states.push(...(await history(app, [sql], { recorder })).states);
    }
    const { removed, merged } = await compactLog(
      recorder.folder,
      recorder.lineage,
      new CompactionState(),
      start + 9_000_000,
    );
    expect([removed, merged]).toEqual([6, 4]);

    const place = join(folder, "repository");
    const guide = await guideOf(place);
    const { manifests } = await app.manifests();
    const [full, increment] = manifests as [Manifest, Manifest];
    const log = join(place, recorder.folder.path, "wal", recorder.lineage);
    const begin = [
      `cd ${join(place, recorder.folder.backupPath(full.id))}\n`,
      blockWith(guide, "mkdir -p /restore"),
      `cd ${join(place, recorder.folder.backupPath(increment.id))}\n`,
      blockWith(guide, "NAME.db-wal.zst -o"),
      blockWith(guide, "DAMAGED"),
    ].join("");
    let followed = 0;
    const follow = async (until: string) => {
      followed += 1;
      const to = join(folder, `restored-${followed}`);
      const script = (begin + blockWith(guide, "next=1"))
        .replaceAll("NAME", "app")
        .replaceAll("/restore", to)
        .replaceAll("LOG/", `${log}/`)
        .replaceAll("UNTIL", until);
      const { stdout } = await execa("bash", ["-ec", script], { stdin: "ignore" });
      return { stdout, dump: dumpOf(join(to, "app.db")) };
    };
    const all = await follow("z");
    expect(all.stdout).not.toContain("DAMAGED");
    expect(all.dump).toBe(states[5]?.dump);
    const [, second] = states;
    const until = new Date(second?.at ?? 0).toISOString().replaceAll(/[-:]/g, "");
    expect((await follow(until)).dump).toBe(second?.dump);
    const first = (await readdir(log)).sort()[0] as string;
    await rm(join(log, first));
    expect((await follow("z")).stdout).toContain("segment 1 is missing");
  },
);

const APART = has("zstd", "tar", "python3");

/** A cluster with a table of 1,000 rows in a tablespace, and its repository. */
async function withTablespace(major: number) {
  const cluster = await startCluster({ major });
  const kept = await repositoryBeside(cluster);
  const space = join(cluster.directory, "space");
  await mkdir(space, { mode: 0o700 });
  if (cluster.account.foreign) await chown(space, cluster.account.uid, cluster.account.gid);
  await cluster.query(`create tablespace aside location '${space}'`);
  await cluster.query("create table ledger tablespace aside as select generate_series(1, 1000) n");
  const [row] = await cluster.query<{ oid: string }>(
    "select oid::text from pg_tablespace where spcname = 'aside'",
  );
  return { cluster, kept, oid: String(row?.oid) };
}

/** Blocks of a guide as they are run, in places below `r`. */
function scriptOf(
  blocks: readonly string[],
  { cluster, kept, oid }: Awaited<ReturnType<typeof withTablespace>>,
): string {
  return blocks
    .join("")
    .replace("-l /restore/log start", "-l /restore/log -w -o '-k /restore -h \"\"' start")
    .replaceAll("OID", oid)
    .replaceAll("WAL/", `${kept.path}/${kept.folder.path}/wal/`)
    .replaceAll("/restore", join(cluster.directory, "r"));
}

/** Runs it as the server's account, and asks the copy how many rows there are. */
async function rowsByHand(
  script: string,
  { cluster, kept }: Awaited<ReturnType<typeof withTablespace>>,
): Promise<{ stdout: string; rows: string }> {
  const place = join(cluster.directory, "r");
  await mkdir(place, { mode: 0o700 });
  if (cluster.account.foreign) await chown(place, cluster.account.uid, cluster.account.gid);
  const bin = dirname(programPath(cluster.programs, "postgres"));
  const shell = (command: string) =>
    execa("bash", ["-ec", command], {
      ...runAs(cluster.account),
      cwd: kept.path,
      env: { PATH: `${bin}:${process.env.PATH}` },
    });
  try {
    const { stdout } = await shell(script);
    const query = `psql -h ${place} -U postgres -qAt -c 'select count(*) from ledger' app`;
    return { stdout, rows: (await shell(query)).stdout };
  } finally {
    // Not running when the script failed before it was started: the script's own error counts.
    await shell(`pg_ctl -D ${place}/data -m immediate stop || true`);
  }
}

describe.runIf(APART && (await outermostMajors()).includes(15))(
  "a Postgres cluster with a tablespace",
  () => {
    test.each(["wire", "parallel"] as const)(
      "taken by %s comes back by sha256sum, zstd, tar and the server's own programs",
      async (transport) => {
        const made = await withTablespace(15);
        const { cluster, kept } = made;
        try {
          const { id } = await kept.take({ transport });
          await cluster.crash();
          const guide = await guideOf(kept.path);
          const words = [
            ...["sha256sum -c", "for part in base.tar.zst", "for part in OID.tar.zst"],
            ...["pg_verifybackup", "tablespace_map", "recovery.signal"],
          ];
          const blocks = words.map((each) => blockWith(guide, each));
          const script = scriptOf(blocks, made).replaceAll(
            "APP/…/backups/ID",
            `${kept.folder.path}/backups/${id}`,
          );
          const { stdout, rows } = await rowsByHand(script, made);
          expect(stdout).toContain("base.tar.zst: OK");
          expect(stdout).toContain("backup successfully verified");
          expect(rows).toBe("1000");
        } finally {
          await cluster.stop();
        }
      },
    );
  },
);

const [combinable] = APART ? await combinableMajors() : [];

test.runIf(combinable)(
  "incremental backups of a Postgres cluster with a tablespace come back by the server's own programs",
  async () => {
    const made = await withTablespace(combinable as number);
    const { cluster, kept } = made;
    try {
      await cluster.query("alter system set summarize_wal = on");
      await cluster.query("select pg_reload_conf()");
      const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
      const ids: string[] = [];
      for (const type of ["full", "incremental", "incremental"] as const) {
        const signal = new AbortController().signal;
        const { repository } = kept;
        ids.push((await backup({ repository, engine, type, options: {}, signal })).id);
        await cluster.query("insert into ledger select generate_series(1, 500)");
      }
      expect(ids.map((id) => id.slice(-4))).toEqual(["full", "incr", "incr"]);
      await cluster.crash();
      const guide = await guideOf(kept.path);
      const unpack = blockWith(guide, "for part in base.tar.zst");
      const space = blockWith(guide, "for part in OID.tar.zst");
      const parts = ["full", "first", "second"].flatMap((name, at) => [
        `cd ${join(kept.path, kept.folder.path, "backups", ids[at] as string)}\n`,
        unpack.replaceAll("/restore/data", `/restore/${name}`),
        space
          .replaceAll("/restore/data", `/restore/${name}`)
          .replaceAll("/restore/OID", `/restore/${name}-OID`),
      ]);
      const rest = ["pg_verifybackup", "tablespace_map", "recovery.signal"];
      const blocks = [
        ...parts,
        blockWith(guide, "-T /restore"),
        ...rest.map((each) => blockWith(guide, each)),
      ];
      const { stdout, rows } = await rowsByHand(scriptOf(blocks, made), made);
      expect(stdout).toContain("backup successfully verified");
      // All that the archive has: what came after the last backup is in no segment.
      expect(rows).toBe("2000");
    } finally {
      await cluster.stop();
    }
  },
);
