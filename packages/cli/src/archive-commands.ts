import type { Session } from "./session.ts";
import { shellWord } from "./shell-word.ts";

/**
 * What a restored Postgres runs to fetch one WAL segment, before its name and destination. It names
 * the repository itself: the account that recovers may not be able to read our configuration.
 */
export async function fetchCommand(session: Session): Promise<string[]> {
  return [...session.ownCommand, "wal", "fetch", ...(await session.repositoryOptions())];
}

/** The line for postgresql.conf that ships WAL into this repository. */
export async function archiveCommandSetting(session: Session): Promise<string> {
  const words = [...session.ownCommand, "wal", "push", ...(await session.repositoryOptions())];
  const command = `${words.map(shellWord).join(" ").replaceAll("%", "%%")} "%p"`;
  return `archive_command = '${command.replaceAll("'", "''")}'`;
}
