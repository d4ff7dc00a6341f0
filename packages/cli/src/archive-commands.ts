import { shellWord } from "@lifeboat/core/shell-word";
import type { Session } from "./session.ts";

/**
 * What a restored Postgres runs to fetch one WAL segment, before its name and destination. It names
 * the repository itself: the account that recovers may not be able to read our configuration.
 */
export async function fetchCommand(session: Session): Promise<string[]> {
  return [...session.ownCommand, "wal", "fetch", ...(await session.repositoryOptions())];
}

/** How long the archiver's shell waits for a resident `lifeboat watch` before it does without. */
const PATIENCE_SECONDS = 60;

/** The setting that ships WAL into this repository. A file of settings takes a backslash for an escape, and SQL does not. */
export interface ArchiveCommandSetting {
  /** A line of postgresql.conf. */
  readonly line: string;
  /** What stands behind `alter system set`. */
  readonly sql: string;
}

/**
 * The `archive_command` of this installation: asks a resident `lifeboat watch`,
 * and starts a program of its own where none answers, or in time. A program that is not to be found would be 127,
 * and above 125 the archiver itself ends: every failure is 1.
 */
export async function archiveCommandSetting(session: Session): Promise<ArchiveCommandSetting> {
  const words = [...session.ownCommand, "wal", "push", ...(await session.repositoryOptions())];
  const { maxBacklog } = (await session.configuration()).archive;
  if (maxBacklog !== undefined) words.push("--max-backlog", String(maxBacklog));
  const push = `${words.map(shellWord).join(" ").replaceAll("%", "%%")} "%p"`;
  const resident = `timeout ${PATIENCE_SECONDS} sh ${RESIDENT}/push %f 2>/dev/null`;
  const command = `test -p ${RESIDENT}/request && ${resident} || ${push} || exit 1`;
  const sql = `archive_command = '${command.replaceAll("'", "''")}'`;
  return { line: sql.replaceAll("\\", "\\\\"), sql };
}

/** As `@lifeboat/postgres` lays it into the data directory, in which the server runs its commands. */
const RESIDENT = "pg_wal/lifeboat.push";
