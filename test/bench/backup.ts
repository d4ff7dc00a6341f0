import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { hasProgram, programPath } from "@lifeboat/postgres";
import Database from "better-sqlite3";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type Contestant, median, type Paired, pair, spread } from "./pair.ts";

/**
 * Backup and restore by the command, each against the plain tools that make and read the same files, in
 * turn in one run: `npm run bench -- --runs 5 --megabytes 300`. Databases are of half noise, half text.
 */
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    megabytes: { type: "string", default: "300" },
  },
});
const runs = Number(values.runs);
const megabytes = Number(values.megabytes);
const lifeboat = fileURLToPath(new URL("../../packages/cli/bin/lifeboat.cjs", import.meta.url));

const folder = await mkdtemp(join(tmpdir(), "lifeboat-bench-"));
await chmod(folder, 0o755);
process.env.LIFEBOAT_STATE_DIRECTORY = join(folder, "state");
try {
  await benchSqlite(join(folder, "sqlite"));
  await benchPostgres(join(folder, "postgres"));
} finally {
  await rm(folder, { recursive: true });
}

async function benchSqlite(place: string): Promise<void> {
  await mkdir(place);
  const path = join(place, "app.db");
  fill(path);
  const ours = await command(place, { sqlite: { path } });
  const { size } = await stat(path);
  const raw = join(place, "raw.db");
  await report(
    `SQLite backup, ${mb(size)}`,
    "cp + sync, then zstd -3 -T2",
    await pair(
      { name: "lifeboat backup", command: `${ours} backup --quiet` },
      {
        name: "cp, zstd",
        command: `sh -c 'cp ${path} ${raw} && sync -f ${raw} && zstd -qf -3 -T2 ${raw} -o ${raw}.zst && sync -f ${raw}.zst'`,
      },
      runs,
    ),
  );
  const to = join(place, "restored");
  await report(
    "SQLite restore",
    "zstd -d + sync",
    await pair(
      {
        name: "lifeboat restore",
        command: `${ours} restore --quiet --to ${to}`,
        before: emptied(to),
      },
      {
        name: "zstd -d",
        command: `sh -c 'zstd -dqf ${raw}.zst -o ${raw} && sync -f ${raw}'`,
      },
      runs,
    ),
  );
}

async function benchPostgres(place: string): Promise<void> {
  const cluster = await startCluster();
  try {
    await mkdir(place);
    await cluster.query(
      `create table mix as select n, case when n % 2 = 0 then repeat(md5(n::text), 8)
       else (select string_agg(md5(random()::text), '') from generate_series(1, 8) where n > 0) end filler
       from generate_series(1, ${megabytes * 3400}) n`,
    );
    await cluster.query("checkpoint");
    const ours = await command(place, { postgres: { url: cluster.superuserUrl } });
    const backup = (transport: string): Contestant => ({
      name: `lifeboat backup --transport ${transport}`,
      command: `${ours} backup --quiet --wal stream --transport ${transport}`,
    });
    const theirs = await plainBaseBackup(cluster, place);
    if (!theirs) return;
    for (const transport of ["wire", "pg_basebackup"])
      await report(
        `Postgres backup, ${transport}`,
        "pg_basebackup -Ft to zstd -3 -T2",
        await pair(backup(transport), theirs, runs),
      );
    const to = join(place, "restored");
    const plain = join(place, "plain");
    await report(
      "Postgres restore",
      "zstd -d, tar x, sync",
      await pair(
        {
          name: "lifeboat restore",
          command: `${ours} restore --quiet --to ${to}`,
          before: emptied(to),
        },
        {
          name: "zstd, tar",
          command: `sh -c 'mkdir ${plain} && zstd -dqc ${place}/base.tar.zst | tar -x -C ${plain} && sync -f ${plain}'`,
          before: emptied(plain),
        },
        runs,
      ),
    );
  } finally {
    await cluster.stop();
  }
}

async function plainBaseBackup(
  { programs, superuserUrl }: TestCluster,
  place: string,
): Promise<Contestant | undefined> {
  if (!(await hasProgram(programs, "pg_basebackup"))) return undefined;
  const program = programPath(programs, "pg_basebackup");
  process.env.PGPASSWORD = new URL(superuserUrl).password;
  const { hostname, port } = new URL(superuserUrl);
  const file = `${place}/base.tar.zst`;
  return {
    name: "pg_basebackup to zstd",
    command: `sh -c '${program} -h ${hostname} -p ${port} -U postgres -Ft -X none -c fast -D - | zstd -qf -3 -T2 -o ${file} && sync -f ${file}'`,
  };
}

/** The command with a configuration of its own. */
async function command(place: string, databases: object): Promise<string> {
  const config = join(place, "lifeboat.config.json");
  const repository = { type: "filesystem", path: join(place, "repository") };
  await writeFile(config, JSON.stringify({ app: "bench", repository, ...databases }));
  return `${process.execPath} ${lifeboat} --config ${config}`;
}

function emptied(directory: string): () => Promise<void> {
  return () => rm(directory, { recursive: true, force: true });
}

function fill(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE mix(n INTEGER PRIMARY KEY, noise BLOB, text TEXT)");
  const insert = database.prepare(
    "INSERT INTO mix(noise, text) VALUES (randomblob(500), replace(hex(zeroblob(25)), '0', 'lifeboat '))",
  );
  const rows = megabytes * 1000;
  for (let n = 0; n < rows; n += 1000)
    database.transaction(() => {
      for (let i = 0; i < 1000; i++) insert.run();
    })();
  database.close();
}

async function report(what: string, peer: string, { ours, theirs, ratios }: Paired): Promise<void> {
  const seconds = (side: typeof ours) => spread(side.map((each) => each.seconds));
  const peak = median(ours.map(({ peakMb }) => peakMb)).toFixed(0);
  console.log(
    `| ${what} | ${seconds(ours)} | ${peer}: ${seconds(theirs)} | ${spread(ratios)} | ${peak} |`,
  );
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
