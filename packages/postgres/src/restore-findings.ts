import type { Finding } from "@lifeboat/core";
import { effectiveValue, settingsIn } from "./effective-settings.ts";

/**
 * What the engineer should know of a copy before it is started, from its own settings.
 * @param directory where it lies now
 * @param dataDirectory what it will be called
 */
export async function restoreFindings(
  directory: string,
  dataDirectory: string,
): Promise<Finding[]> {
  const settings = await settingsIn(directory);
  const findings: Finding[] = [];
  const value = (name: string) => effectiveValue(settings, name) ?? "";
  const archives = !/^(|off?|no?|f(alse)?|0)$/i.test(value("archive_mode"));
  if (archives && (value("archive_command") || value("archive_library")))
    findings.push(archivesOn(dataDirectory));
  if (value("synchronous_standby_names").trim()) findings.push(waitsForStandbys());
  return findings;
}

/**
 * Archiving is left as it was: after a disaster the copy is the database, and one that silently
 * stops archiving is the next disaster. Its segments carry a new timeline, so they overwrite none.
 */
function archivesOn(dataDirectory: string): Finding {
  return {
    id: "copy-archives",
    severity: "warning",
    summary:
      "once it is open, the copy archives its WAL where the original does, as a new timeline",
    remedy: `right if it takes the original's place; if it is a copy beside it, start it with archiving off and a port of its own: pg_ctl -D ${dataDirectory} -o "-c archive_mode=off -c port=PORT" start`,
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
