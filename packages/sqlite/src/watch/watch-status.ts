import {
  type DatabaseFolder,
  type EngineStatus,
  type Finding,
  foldersBelow,
  type LockHolder,
  lockHolder,
  type WatchNote,
  watchLockName,
} from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { holdSocket, ShippedElsewhere } from "./hold-elsewhere.ts";
import type { Waiting } from "./source-file.ts";
import type { WatchFacts } from "./watch-facts.ts";

const HOLE_SHOWN_MS = 7 * 24 * 60 * 60_000;
/** A segment is due each second; later than this, a storage hangs without saying so. */
const LATE_SECONDS = 60;
const REMEDY = "start it: lifeboat watch, under a service manager that starts it again";

/**
 * How shipping stands, from what the watch last said of itself.
 * @param directory where watches of this account are asked whether they still say anything
 */
export async function watchStatus(
  folder: DatabaseFolder | null,
  note: WatchNote | null,
  directory: string | undefined,
): Promise<EngineStatus> {
  if (!note) return { archive: null, slots: [], alerts: folder ? await unwatched(folder) : [] };
  const facts = note.facts as unknown as Partial<WatchFacts & Waiting>;
  const { unshippedSince = null, fault = null } = facts;
  // An idle one leaves no word, so that by its note alone one that is stopped looks idle for ever.
  const silent = note.alive && folder && directory && (await isSilent(folder, directory));
  const answers = note.alive && !silent;
  const waits = String(facts.state) === "waiting";
  const ok = answers && facts.state === "shipping" && fault === null;
  return {
    archive: {
      ok,
      // Of one that has ended, is stopped or waits it is not known what was committed since.
      lagSeconds: answers && !waits ? secondsSince(unshippedSince) : null,
      lagBytes: answers ? (facts.unshippedBytes ?? null) : null,
      lastSegment: facts.lastSegment ?? null,
      oldestUnarchived: unshippedSince,
    },
    slots: [],
    alerts: note.alive
      ? [...(silent ? [SILENT] : []), ...alertsOf(facts)]
      : [stopped(note.at, facts)],
    shipping: { alive: note.alive, at: note.at, ...note.facts },
  };
}

function secondsSince(instant: string | null): number {
  return instant === null ? 0 : Math.max(0, (Date.now() - Date.parse(instant)) / 1000);
}

/** A log that was begun and that nobody goes on with is a recovery point that grows old. */
async function unwatched(folder: DatabaseFolder): Promise<Finding[]> {
  const locks = `${folder.app}/locks/${watchLockName(folder)}`;
  const holder = await lockHolder(folder.storage, locks);
  if (holder) return [watchedElsewhere(holder)];
  const lineages = await foldersBelow(folder.storage, `${folder.path}/wal/`);
  const newest = lineages.at(-1);
  if (newest === undefined) return [];
  return [
    {
      id: "watch-missing",
      severity: "warning",
      summary: `there is a log (lineage ${newest}), and no watch of this machine and account ships it`,
      remedy: REMEDY,
    },
  ];
}

/** What a watch says of itself lies in the state directory of its own account. */
function watchedElsewhere({ user, host, pid }: LockHolder): Finding {
  return {
    id: "watch-elsewhere",
    severity: "warning",
    summary: `a watch of account ${user} on ${host} (pid ${pid}) ships the log, and what it says of itself cannot be read from here: whether it keeps up is not known`,
    remedy: `ask there as that account: sudo -u ${shellWord(user)} lifeboat status (with its LIFEBOAT_STATE_DIRECTORY, where it has one)`,
  };
}

async function isSilent(folder: DatabaseFolder, directory: string): Promise<boolean> {
  const watch = await ShippedElsewhere.find(holdSocket(directory, folder), "");
  return watch?.isSilent().finally(() => watch.close()) ?? false;
}

const SILENT: Finding = {
  id: "watch-silent",
  severity: "error",
  summary:
    "the watch is there and does not answer: it was stopped, or it is stuck; nothing is shipped, and the WAL grows",
  remedy:
    "let it go on (kill -CONT), or end it (kill -KILL) and start it again: it goes on where it was if the WAL still has all since",
};

function stopped(at: string, { state, reason, remedy }: Partial<WatchFacts & Waiting>): Finding {
  const waited = String(state) === "waiting";
  return {
    id: "watch-stopped",
    severity: "error",
    summary: `the watch does not run any more; it last said something at ${at}${waited ? `: nothing is shipped, ${reason}` : ""}`,
    remedy: waited ? `${remedy}; then ${REMEDY}` : REMEDY,
  };
}

function alertsOf(facts: Partial<WatchFacts & Waiting>): Finding[] {
  const { fault, backupFault, compactionFault, holes = [] } = facts;
  const recent = holes.filter((hole) => Date.now() - Date.parse(hole.slice(0, 24)) < HOLE_SHOWN_MS);
  const found: (Finding | false)[] = [
    String(facts.state) === "waiting" && {
      id: "watch-waiting",
      severity: "error",
      summary: `nothing is shipped: ${facts.reason}`,
      remedy: facts.remedy ?? "the watch goes on by itself once that is mended",
    },
    fault != null && {
      id: "log-not-stored",
      severity: "error",
      summary: `segments are not stored since ${fault.since}: ${fault.reason}`,
      remedy: "mend the repository; the watch tries again by itself, and the WAL grows meanwhile",
    },
    fault == null &&
      secondsSince(facts.unshippedSince ?? null) > LATE_SECONDS && {
        id: "log-late",
        severity: "error",
        summary: `what was committed since ${facts.unshippedSince} is not stored yet`,
        remedy: "see why the repository is slow; the WAL grows meanwhile",
      },
    backupFault != null && {
      id: "lineage-not-begun",
      severity: "error",
      summary: `the backup that the log starts from could not be taken: ${backupFault}`,
      remedy: "mend that; the watch tries again by itself",
    },
    compactionFault != null && {
      id: "log-not-compacted",
      severity: "warning",
      summary: `segments could not be merged: ${compactionFault}`,
      remedy: "nothing is lost; the watch tries again by itself",
    },
    recent.length > 0 && {
      id: "log-hole",
      severity: "warning",
      summary: `the log has a hole: ${recent.at(-1)}`,
      remedy:
        "instants in it cannot be restored (lifeboat list shows the windows); a new lineage has begun",
    },
  ];
  return found.filter((finding) => finding !== false);
}
