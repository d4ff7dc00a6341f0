import { isAbsolute, relative } from "node:path";
import type { Finding } from "@lifeboat/core";
import type { ServerFacts } from "../facts/server-facts.ts";

const OLDEST_MAJOR = 15;
const NEWEST_MAJOR = 18;

/** What the server's version and settings say, without asking it anything further. */
export function configurationFindings(server: ServerFacts): Finding[] {
  return [
    version,
    recovery,
    walLevel,
    archiving,
    archiveTimeout,
    checksums,
    settingsFiles,
    tablespaces,
  ].flatMap((check) => check(server) ?? []);
}

function version({ major }: ServerFacts): Finding | undefined {
  if (major < OLDEST_MAJOR)
    return {
      id: "version-unsupported",
      severity: "error",
      summary: `the server is of version ${major}; versions ${OLDEST_MAJOR} to ${NEWEST_MAJOR} are supported`,
      remedy: "upgrade the server (pg_upgrade, or pg_dump and restore)",
    };
  if (major > NEWEST_MAJOR)
    return {
      id: "version-untested",
      severity: "warning",
      summary: `the server is of version ${major}, newer than this Lifeboat was tried with`,
      remedy: "prove a backup by lifeboat drill before you rely on it",
    };
  return undefined;
}

function recovery({ inRecovery }: ServerFacts): Finding | undefined {
  if (!inRecovery) return undefined;
  return {
    id: "server-is-standby",
    severity: "error",
    summary: "the server in postgres.url is a standby: its primary has to begin and end a backup",
    remedy:
      "name the primary in postgres.url, and this one in postgres.backupFrom to read base backups from it",
  };
}

function walLevel({ walLevel: level, archiving: on }: ServerFacts): Finding | undefined {
  if (level !== "minimal") return undefined;
  return {
    id: "wal-level-minimal",
    severity: "error",
    summary: `wal_level is minimal${on ? "" : " and archiving is off"}: neither an online backup nor a standby is possible`,
    remedy:
      "alter system set wal_level = replica; alter system set max_wal_senders = 10; then restart the server",
  };
}

function archiving(server: ServerFacts): Finding | undefined {
  if (!server.archiving)
    return {
      id: "archive-mode-off",
      severity: "warning",
      summary:
        "archive_mode is off: each backup restores only its own instant, and nothing between backups can be recovered",
      remedy:
        "lifeboat doctor prints the archive_command of this host: set it and archive_mode = on, then restart the server",
    };
  if (isWithoutArchiver(server))
    return {
      id: "archive-command-empty",
      severity: "error",
      summary:
        "archive_mode is on without archive_command: WAL piles up in pg_wal until the disk is full",
      remedy:
        "lifeboat doctor prints the archive_command of this host: set it, then: select pg_reload_conf()",
    };
  return undefined;
}

/** The server keeps WAL for an archiver that has nothing to call. */
export function isWithoutArchiver(server: ServerFacts): boolean {
  return server.archiving && server.archiveCommand === "" && server.archiveLibrary === "";
}

/** Manual, "archive_timeout": how long a commit of a server that writes little may lie on its own disk alone. */
function archiveTimeout(server: ServerFacts): Finding | undefined {
  if (!server.archiving || server.archiveTimeout > 0) return undefined;
  const bytes = server.walSegmentBytes / 2 ** 20;
  return {
    id: "archive-timeout-off",
    severity: "warning",
    summary: `archive_timeout is 0: a commit reaches the repository once its segment of ${bytes} MiB is full, however long that takes`,
    remedy:
      'alter system set archive_timeout = \'1min\'; select pg_reload_conf(); or stream the WAL, by "archive": {"mode": "receive"}',
  };
}

function checksums(server: ServerFacts): Finding | undefined {
  if (server.checksums) return undefined;
  return {
    id: "checksums-off",
    severity: "warning",
    summary: "page checksums are off: a page that the disk has damaged goes into backups unseen",
    remedy: "stop the server and run pg_checksums --enable on its data directory",
  };
}

function settingsFiles({ dataDirectory, settingsFiles: files }: ServerFacts): Finding | undefined {
  if (!dataDirectory || !files) return undefined;
  const outside = Object.values(files).filter((path) => {
    const way = relative(dataDirectory, path);
    return way.startsWith("..") || isAbsolute(way);
  });
  if (outside.length === 0) return undefined;
  return {
    id: "settings-outside",
    severity: "info",
    summary: `outside the data directory lie ${outside.join(", ")}`,
    remedy:
      "nothing to do: they are stored with each backup, and laid into a restored data directory",
  };
}

function tablespaces(server: ServerFacts): Finding | undefined {
  if (server.tablespaces.length === 0) return undefined;
  const places = server.tablespaces.map(({ location }) => location).join(", ");
  return {
    id: "tablespaces",
    severity: "info",
    summary: `tablespaces lie at ${places}`,
    remedy:
      "when restoring beside the live server, give each a new place: --tablespace-mapping OLD=NEW",
  };
}
