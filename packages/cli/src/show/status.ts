import type { Status } from "@lifeboat/core";
import { showFindings } from "./findings.ts";
import { showShipping } from "./shipping.ts";
import { facts } from "./table.ts";
import { ago, duration, size } from "./units.ts";

/** Without a log each backup is a window of its own, and there may be hundreds. */
const SHOWN_WINDOWS = 4;

/** How an app stands: what could be restored now, and what wants attention. */
export function showStatus(status: Status, commandLine: string): string {
  const { lastBackup, lastDrill } = status;
  const summary = facts([
    ["app", status.live === null ? status.app : `${status.app}, live on ${status.live}`],
    [
      "last backup",
      lastBackup
        ? `${lastBackup.id}, ${ago(lastBackup.finishedAt)} (${lastBackup.engine}, ${size(lastBackup.storedBytes)})`
        : `none: ${commandLine} backup`,
    ],
    [
      "last drill",
      lastDrill
        ? `${lastDrill.ok ? "passed" : "FAILED"} ${ago(lastDrill.finishedAt)}, recovery took ${duration(lastDrill.seconds.total)}`
        : `none: ${commandLine} drill`,
    ],
    ...status.windows.slice(-SHOWN_WINDOWS).map(windowOf),
    ...earlierOf(status, commandLine),
    ...archiveOf(status),
    ...helpersOf(status),
    ...showShipping(status),
  ]);
  return status.alerts.length === 0 ? summary : `${summary}\n${showFindings(status.alerts)}`;
}

function windowOf(window: Status["windows"][number]): readonly [string, string] {
  const { engine, timeline, from, to } = window;
  const along = timeline === null ? engine : `${engine}, timeline ${timeline}`;
  return [`restorable (${along})`, from === to ? `${from} only` : `${from} to ${to}`];
}

function earlierOf({ windows }: Status, commandLine: string): (readonly [string, string])[] {
  const others = windows.length - SHOWN_WINDOWS;
  return others > 0 ? [["", `and ${others} more: ${commandLine} list`]] : [];
}

function archiveOf({ archive, live }: Status): (readonly [string, string])[] {
  if (archive === null) return [];
  const words = [archive.ok ? "healthy" : "FAILING"];
  // The segment being written is never there yet: "0 s behind" would promise that nothing can be lost.
  // Of a watch that is locked out, or has ended, it is not known what was committed since.
  if (live === "sqlite" && archive.lagSeconds === null) words.push("what waits is not known");
  else if (archive.oldestUnarchived === null)
    words.push(live === "sqlite" ? "no commit waits" : "no full segment waits");
  else if (archive.lagSeconds !== null) words.push(`${duration(archive.lagSeconds)} behind`);
  if (archive.lagBytes !== null) words.push(`${size(archive.lagBytes)} not shipped yet`);
  if (archive.lastSegment !== null) words.push(`last ${archive.lastSegment}`);
  return [["log shipping", words.join(", ")]];
}

interface Helpers {
  readonly prefetcher?: { readonly running: boolean; readonly ready: number };
  readonly pusher?: { readonly running: boolean };
}

/** What may outlive the command that started it, and ends by itself. */
function helpersOf({ shipping }: Status): (readonly [string, string])[] {
  return Object.values(shipping ?? {}).flatMap((of) => {
    const { prefetcher, pusher } = of as Helpers;
    const rows: (readonly [string, string])[] = [];
    if (prefetcher) {
      const does = prefetcher.running ? "runs" : "has ended";
      rows.push(["prefetcher", `${does}, ${prefetcher.ready} segments lie ready`]);
    }
    if (pusher) rows.push(["pusher", "runs, until the archiver asks for nothing any more"]);
    return rows;
  });
}
