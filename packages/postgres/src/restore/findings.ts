import type { DatabaseFolder, Finding } from "@lifeboat/core";
import { effectiveValue, settingsIn } from "../files/effective-settings.ts";
import { serverLines } from "../server/server-line.ts";

/**
 * What the engineer should know of a copy before it is started, from its own settings.
 * @param directory where it lies now
 * @param dataDirectory what it will be called
 * @param binDirectory where the server's programs are; found when left out
 */
export async function restoreFindings(
  directory: string,
  dataDirectory: string,
  binDirectory?: string,
): Promise<Finding[]> {
  const settings = await settingsIn(directory);
  const beside = { binDirectory, liesAt: directory, options: "-c archive_mode=off -c port=PORT" };
  const findings: Finding[] = [];
  const value = (name: string) => effectiveValue(settings, name) ?? "";
  const archives = !/^(|off?|no?|f(alse)?|0)$/i.test(value("archive_mode"));
  if (archives && (value("archive_command") || value("archive_library")))
    findings.push(archivesOn((await serverLines(dataDirectory, beside)).start));
  if (value("synchronous_standby_names").trim()) findings.push(waitsForStandbys());
  return findings;
}

/**
 * Which of two timelines is the product's can be judged, not known: after a recovery in place, until
 * something is committed or backed up, its timeline looks like that of a copy.
 * @param followed the timeline that the copy recovers along
 */
export async function newerTimelines(folder: DatabaseFolder, followed: number): Promise<Finding[]> {
  const prefix = `${folder.path}/wal/`;
  const { folders } = await folder.storage.list({ prefix, folded: true });
  const newer = folders
    .map((path) => Number.parseInt(path.slice(prefix.length), 16))
    .filter((timeline) => timeline > followed);
  if (newer.length === 0) return [];
  return [
    {
      id: "newer-timeline",
      severity: "warning",
      summary: `the copy follows timeline ${followed}, and there is a newer one in the repository: ${newer.join(", ")}`,
      remedy: `right if the newer one is of a copy that was only looked at; if the product went on in it, restore again with --timeline ${newer.at(-1)}`,
    },
  ];
}

/**
 * Archiving is left as it was: after a disaster the copy is the database, and one that silently
 * stops archiving is the next disaster. Its segments carry a new timeline, so they overwrite none.
 */
function archivesOn(start: string): Finding {
  return {
    id: "copy-archives",
    severity: "warning",
    summary:
      "once it is open, the copy archives its WAL where the original does, as a new timeline",
    remedy: `right if it takes the original's place (then run lifeboat backup once it is open); if it is a copy beside it, start it with archiving off and a port of its own: ${start}`,
  };
}

function waitsForStandbys(): Finding {
  return {
    id: "copy-waits-for-standbys",
    severity: "warning",
    summary:
      "synchronous_standby_names is set: every commit on the copy will wait for standbys that do not follow it",
    remedy: "until standbys are built anew: alter system set synchronous_standby_names = ''",
  };
}
