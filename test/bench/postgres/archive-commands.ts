import { execa } from "execa";
import type { Command } from "../workplace.ts";
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

/**
 * The line for postgresql.conf that `doctor` prints, for the archiver's shell of a bench; undefined where it asks no
 * resident `watch`.
 */
export async function residentCommand(command: Command): Promise<string | undefined> {
  // It ends with 1 when it finds anything wrong, such as that nothing is archived yet.
  const { stdout } = await execa("bash", ["-c", `exec ${command.line} doctor --json`], {
    reject: false,
  });
  const { findings } = JSON.parse(stdout) as { findings: { id: string; remedy: string }[] };
  const setting = findings.find(({ id }) => id === "archive-command")?.remedy;
  const quoted = /^archive_command = '(.*)'$/s.exec(setting ?? "")?.[1];
  if (!quoted?.includes("lifeboat.push")) return undefined;
  return (
    quoted
      .replaceAll("''", "'")
      .replaceAll('"%p"', '"$path"')
      .replaceAll("%f", '"$name"')
      .replaceAll("%%", "%")
      // The line of a bench goes on in the archiver's shell.
      .replace("exec ", "")
  );
}
