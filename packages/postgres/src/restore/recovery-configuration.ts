import type { RecoveryPlan, RecoveryTarget } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { SPOOL } from "../archive/wal-spool.ts";
import { parseSetting, type Setting, settingLine } from "../files/setting-line.ts";

/** Settings that only a recovery reads (manual, 20.5.5 and 20.5.6). A copy takes none of them over. */
const RECOVERY_SETTINGS = new Set([
  "restore_command",
  "archive_cleanup_command",
  "recovery_end_command",
  "recovery_target",
  "recovery_target_action",
  "recovery_target_inclusive",
  "recovery_target_lsn",
  "recovery_target_name",
  "recovery_target_time",
  "recovery_target_timeline",
  "recovery_target_xid",
]);

/** Of these at most one may be set, or the server refuses to start. */
const TARGETS = ["", "_lsn", "_name", "_time", "_xid"].map((suffix) => `recovery_target${suffix}`);

/** Commands of the original's own: on a copy they would work on the original's archive. */
const COMMANDS = ["archive_cleanup_command", "recovery_end_command"];

const HEADING = `
# Written by lifeboat restore: how this copy recovers when it is started. They are read while
# recovery.signal is there; the server removes that file when the recovery has ended.
`;

/**
 * The settings with which a copy recovers up to where the plan says and then opens.
 * @param timeline the one that the backup was taken on
 */
export function recoverySettings(
  plan: Pick<RecoveryPlan, "target" | "timeline">,
  { timeline, fetchCommand }: { timeline: number; fetchCommand: readonly string[] },
): Setting[] {
  const { target } = plan;
  // What ends with the backup itself needs no later timeline; one that branched off before its end
  // would even stop the server ("is not a child of this server's history").
  const isOwn = target.kind === "backup" || target.kind === "immediate";
  // By its number the server would want the timeline's history, which nothing on it needs that begins on it.
  const wanted = isOwn || plan.timeline === timeline ? "current" : (plan.timeline ?? "latest");
  return [
    { name: "restore_command", value: spooledRestoreCommand(fetchCommand) },
    ...targetSettings(target),
    { name: "recovery_target_timeline", value: String(wanted) },
    // The default, pause, leaves a server that reads only and waits for a person.
    { name: "recovery_target_action", value: "promote" },
    // Reading ahead, the server would ask for segments past its target, and stop where one of them
    // is missing or damaged although it needs none of them.
    { name: "recovery_prefetch", value: "off" },
  ];
}

function targetSettings(target: RecoveryTarget): Setting[] {
  switch (target.kind) {
    case "latest":
      return [];
    case "backup":
    case "immediate":
      return [{ name: "recovery_target", value: "immediate" }];
    case "restore-point":
      return [{ name: "recovery_target_name", value: target.name }];
    case "time":
      return [{ name: "recovery_target_time", value: utc(target) }, inclusive(target)];
    case "lsn":
      return [{ name: "recovery_target_lsn", value: target.lsn }, inclusive(target)];
    case "xid":
      return [{ name: "recovery_target_xid", value: target.xid }, inclusive(target)];
  }
}

function inclusive({ exclusive }: { exclusive: boolean }): Setting {
  return { name: "recovery_target_inclusive", value: exclusive ? "off" : "on" };
}

/** With the offset in figures: a zone's name depends on tables that the host may not have. */
function utc({ at, micros = 0 }: Extract<RecoveryTarget, { kind: "time" }>): string {
  const finer = micros === 0 ? "" : String(micros).padStart(3, "0");
  return at.toISOString().replace("T", " ").replace("Z", `${finer}+00`);
}

/**
 * The shell line of `restore_command` for a copy that recovers by itself: takes a segment that lies
 * ready, checked, by a rename, and starts a program only for one that does not.
 */
export function spooledRestoreCommand(fetchCommand: readonly string[]): string {
  if (fetchCommand.length === 0) return restoreCommand(fetchCommand);
  return `${SPOOLED} || exec ${restoreCommand(fetchCommand)}`;
}

/**
 * The same for a standby: there no status means the end, since it goes on asking primary and archive in turn.
 * But one above 125 ends its server, so that an archive that is away would take the standby with it.
 */
export function standbyRestoreCommand(fetchCommand: readonly string[]): string {
  if (fetchCommand.length === 0) return "";
  return `${SPOOLED} || ${restoreCommand(fetchCommand)} || exit 1`;
}

const SPOOLED = `mv -f "${SPOOL}/%f" "%p" 2>/dev/null`;

/**
 * The shell line of `restore_command`. `%f` and `%p` are the server's to replace; a per cent sign of
 * our own is doubled.
 *
 * Without a program that fetches, it ends with 126: the server reads every status up to 125 as the
 * end of the archive and would open the database short.
 */
export function restoreCommand(fetchCommand: readonly string[]): string {
  if (fetchCommand.length === 0) return "exit 126";
  const words = fetchCommand.map((word) => shellWord(word).replaceAll("%", "%%"));
  return `${words.join(" ")} %f "%p"`;
}

/**
 * The text of `postgresql.auto.conf` with the recovery's settings at its end. That file is read
 * last, wherever the others lie, it survives later ALTER SYSTEMs, and `pg_verifybackup` expects it
 * to differ from the backup.
 * @param elsewhere settings of the other files
 */
export function withRecovery(
  text: string,
  settings: readonly Setting[],
  elsewhere: readonly Setting[] = [],
): string {
  const kept = text
    .split("\n")
    .map((line) => (RECOVERY_SETTINGS.has(parseSetting(line)?.name ?? "") ? `#${line}` : line));
  const set = new Set(settings.map(({ name }) => name));
  // First, since older servers take clearing one target for a clash with another set before it.
  const cleared = TARGETS.filter(
    (name) => !set.has(name) && elsewhere.some((setting) => setting.name === name),
  ).map((name) => ({ name, value: "" }));
  // These always: they may stand in a file that we do not see.
  cleared.push(...COMMANDS.map((name) => ({ name, value: "" })));
  const lines = [...cleared, ...settings].map((setting) => `${settingLine(setting)}\n`);
  return `${kept.join("\n").replace(/\n*$/, "\n")}${HEADING}${lines.join("")}`;
}
