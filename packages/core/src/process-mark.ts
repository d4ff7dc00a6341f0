import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * A text that names this process among all processes of all time: where it runs (boot and pid
 * namespace), its pid, and when it started, since pids are given again. Used as part of file names
 * and lock entries, to tell what a killed process left from what a living one holds.
 */
export function ownProcessMark(): string {
  own ??= `${place()}-${process.pid}-${startOf(process.pid) ?? UNKNOWN}`;
  return own;
}
let own: string | undefined;

/** In place of a start time that the system does not tell. */
const UNKNOWN = "0";

/**
 * Whether the process of a mark is certainly gone. False when it lives, and also when it ran on
 * another machine or in another container, where that cannot be seen from here.
 */
export function processOfMarkIsGone(mark: string): boolean {
  const match = /^([0-9a-f]{16})-(\d+)-(\d+)$/.exec(mark);
  if (!match || match[1] !== place()) return false;
  const start = startOf(Number(match[2]));
  if (start === undefined) return true;
  // A process that lives and hides when it began (/proc with hidepid) may be the very one.
  return start !== UNKNOWN && match[3] !== UNKNOWN && start !== match[3];
}

/** Whether the process of a mark certainly lives: it runs on this machine, and can be seen. */
export function processOfMarkLives(mark: string): boolean {
  return mark.startsWith(`${place()}-`) && !processOfMarkIsGone(mark);
}

let placeMemo: string | undefined;
function place(): string {
  placeMemo ??= createHash("sha256")
    .update([hostname(), bootId(), pidNamespace()].join("\0"))
    .digest("hex")
    .slice(0, 16);
  return placeMemo;
}

function bootId(): string {
  return readOr("/proc/sys/kernel/random/boot_id", "");
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    // Not Linux: there is one.
    return "";
  }
}

/** Start time in clock ticks since boot (proc(5), stat, field 22); undefined when there is no such process. */
function startOf(pid: number): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`, undefined);
  if (stat === undefined) return isAlive(pid) ? UNKNOWN : undefined;
  // The program's name stands in parentheses and may hold blanks: count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie only waits to be noticed by its parent: it holds nothing any more.
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}

function readOr<T>(file: string, otherwise: T): string | T {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // No such process, or no /proc on this system: the caller says what that means.
    return otherwise;
  }
}
