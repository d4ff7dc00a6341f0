import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { stageCommand } from "lifeboat";
import { startCluster, type TestCluster } from "../../support/postgres.ts";
import { Command, type Workplace } from "../workplace.ts";

const SETTINGS = {
  fsync: "on",
  autovacuum: "on",
  shared_buffers: "512MB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
  wal_level: "replica",
  max_wal_senders: "10",
};

/** A real cluster with pgbench's tables, whose archiver does what it is told at the moment. */
export interface BenchCluster {
  readonly cluster: TestCluster;
  readonly command: Command;
  /** A folder that the server's account owns. */
  folder(name: string): Promise<string>;
  /** Words for a shell, run as the server's account. */
  asServer(words: string): string;
  /** What the archiver runs from now on, in a shell with `$path` and `$name`; null holds it in its next call. */
  archiveBy(command: string | null): Promise<void>;
}

export interface BenchClusterInit {
  /** Tells its files from those of others in the workplace. */
  readonly name: string;
  /** pgbench's: 100 is 1.5 GB. */
  readonly scale: number;
  /** Where WAL is archived, pg_basebackup waits for the archiver. */
  readonly archiving: boolean;
}

export async function benchCluster(
  workplace: Workplace,
  { name, scale, archiving }: BenchClusterInit,
): Promise<BenchCluster> {
  const script = workplace.at("archive.sh");
  const held = workplace.at("archive-held");
  await writeFile(script, "true\n");
  const waiting = `while [ -e ${held} ]; do sleep 0.01; done`;
  const cluster = await startCluster({
    major: 15,
    settings: { ...SETTINGS, archive_mode: archiving ? "on" : "off" },
    initdb: ["--data-checksums"],
    archiveCommand: `${waiting}; path=%p; name=%f; . ${script}`,
  });
  workplace.atEnd(() => cluster.stop());
  const staged = await stageCommand();
  workplace.atEnd(() => staged.remove());
  const { account } = cluster;
  const asServer = (words: string) =>
    account.foreign ? `runuser -u ${account.name} -- ${words}` : words;
  const folder = async (name: string) => {
    const path = join(cluster.directory, name);
    await mkdir(path, { recursive: true });
    if (account.foreign) await chown(path, account.uid, account.gid);
    return path;
  };
  await execa("pgbench", ["--initialize", "--quiet", `--scale=${scale}`, cluster.superuserUrl]);
  await cluster.query("checkpoint");
  return {
    cluster,
    folder,
    asServer,
    command: await stagedCommand(workplace, { name, cluster, words: staged.command }),
    archiveBy: async (command) => {
      if (command === null) return writeFile(held, "");
      await writeFile(script, `${command}\n`);
      await chmod(script, 0o644);
      await rm(held, { force: true });
    },
  };
}

/** The command from where the server's account can run it, with a repository that the account owns. */
async function stagedCommand(
  workplace: Workplace,
  init: { name: string; cluster: TestCluster; words: readonly string[] },
): Promise<Command> {
  const { name, cluster, words } = init;
  const repository = join(cluster.directory, "repository");
  const databases = {
    postgres: { url: cluster.superuserUrl, dataDirectory: cluster.dataDirectory },
    compression: { level: 3, wal: 1 },
  };
  const { config } = await workplace.command(name, databases, repository);
  await mkdir(repository);
  if (cluster.account.foreign) await chown(repository, cluster.account.uid, cluster.account.gid);
  await chmod(config, 0o644);
  return new Command(words, config, repository);
}
