import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Finding } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { Session } from "../session.ts";

/**
 * Postgres runs `archive_command` as its own account, which is never root: says so where that may not write into the
 * repository, which then takes its WAL only while a watch is at work. Can be told by root alone, beside the server.
 */
export async function examineArchivePlace(session: Session): Promise<Finding[]> {
  const { postgres, archive } = await session.configuration();
  const isByCommand = archive.mode !== "receive";
  const isWanted = isByCommand && session.global.engine !== "sqlite";
  const mark = await session.repositoryMark();
  // Before the first backup there is none, and nothing to be told of it.
  if (!postgres || !isWanted || process.getuid?.() !== 0 || !existsSync(mark)) return [];
  const { accountMay, localDataDirectory, serverAccount } = await import("@lifeboat/postgres");
  const dataDirectory = await localDataDirectory(postgres);
  if (dataDirectory === undefined) return [];
  const account = await serverAccount(dataDirectory);
  const folder = dirname(mark);
  if ((await accountMay(account, "r", mark)) && (await accountMay(account, "w", folder))) return [];
  return [
    {
      id: "repository-closed",
      severity: "warning",
      summary: `Postgres' account "${account.name}" may not write into ${folder}: its archive_command stores WAL only while a watch runs`,
      remedy: `keep ${session.program} watch --engine postgres running as root; or give that account the repository, for which root writes then: chown -R ${account.name} ${shellWord(dirname(folder))}`,
    },
  ];
}
