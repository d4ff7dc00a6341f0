import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";

/** Lines for the archiver's shell, with `$path` and `$name`. */
export interface ArchiveCommands {
  readonly plain: string;
  readonly lifeboat: string;
  readonly pgBackRest: string | undefined;
  /** Where the plain one puts segments. */
  readonly plainFolder: string;
}

export async function archiveCommands(
  { folder, command }: BenchCluster,
  peer: PgBackRest | undefined,
): Promise<ArchiveCommands> {
  const plainFolder = await folder("plain-archive");
  const state = await folder("archiver-state");
  const part = `${plainFolder}/$name.part`;
  return {
    plainFolder,
    plain: `cp "$path" "${part}" && sync "${part}" && mv "${part}" "${plainFolder}/$name"`,
    lifeboat: `LIFEBOAT_STATE_DIRECTORY=${state} ${command.line} wal push "$path"`,
    pgBackRest: peer?.push,
  };
}
