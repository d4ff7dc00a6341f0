import { writeFile } from "node:fs/promises";
import { execa } from "execa";
import type { Workplace } from "../workplace.ts";
import type { BenchCluster } from "./bench-cluster.ts";

/** pgBackRest over one cluster, with folders of its own; its commands are words for a shell. */
export interface PgBackRest {
  readonly backup: string;
  /** For `archive_command`, with `$path`; asynchronous. */
  readonly push: string;
  restore(to: string, options?: string): string;
}

/** Sets pgBackRest up as its guide does, with two processes and zstd 3; undefined where it is not installed. */
export async function pgBackRest(
  workplace: Workplace,
  { cluster, folder, asServer }: BenchCluster,
): Promise<PgBackRest | undefined> {
  if ((await execa("pgbackrest", ["version"], { reject: false })).failed) {
    workplace.leftOut.push("pgBackRest: `apt-get install pgbackrest`");
    return undefined;
  }
  const [repository, log, spool, lock] = await Promise.all(
    ["pgbackrest", "pgbackrest-log", "pgbackrest-spool", "pgbackrest-lock"].map(folder),
  );
  const config = workplace.at("pgbackrest.conf");
  await writeFile(
    config,
    `[global]
repo1-path=${repository}
log-path=${log}
spool-path=${spool}
lock-path=${lock}
log-level-console=warn
process-max=2
compress-type=zst
compress-level=3
start-fast=y
archive-check=n
archive-async=y
[bench]
pg1-path=${cluster.dataDirectory}
pg1-port=${cluster.port}
pg1-socket-path=${cluster.server.socketDirectory}
pg1-user=postgres
pg1-database=postgres
`,
  );
  const words = `pgbackrest --config=${config} --stanza=bench`;
  await execa("bash", ["-c", asServer(`${words} stanza-create`)]);
  return {
    backup: asServer(`${words} --type=full backup`),
    // The archiver runs as the server's account already.
    push: `${words} --compress-level=1 archive-push "$path"`,
    restore: (to, options = "") => asServer(`${words} --pg1-path=${to} ${options} restore`),
  };
}
