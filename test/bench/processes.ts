import { readdir, readFile, writeFile } from "node:fs/promises";

/** A process as proc(5) shows it. */
interface Entry {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of its own, and of the children that it has waited for; in ticks of 10 ms. */
  readonly ticks: number;
}

const TICKS_PER_SECOND = 100;

/** A process and all that descend from it, as they live now. */
export async function treeOf(root: number): Promise<number[]> {
  return (await entriesOf(root)).map(({ pid }) => pid);
}

/** CPU seconds of a living process and its descendants, ended ones included that were waited for. */
export async function cpuSecondsOf(root: number): Promise<number> {
  const ticks = (await entriesOf(root)).reduce((sum, entry) => sum + entry.ticks, 0);
  return ticks / TICKS_PER_SECOND;
}

/**
 * The greatest memory so far of each living process in a tree, added up, in MB. The kernel keeps each mark itself
 * (VmHWM), so reading it now and then is enough; the sum is no less than what was held at one time.
 */
export async function peakMbOf(root: number): Promise<number> {
  const peaks = await Promise.all((await treeOf(root)).map(peakMb));
  return peaks.reduce((sum, each) => sum + each, 0);
}

/** Lets the marks of {@link peakMbOf} begin anew at what is held now (proc(5), clear_refs). */
export async function forgetPeaks(root: number): Promise<void> {
  // A process that has just ended has nothing to forget.
  for (const pid of await treeOf(root))
    await writeFile(`/proc/${pid}/clear_refs`, "5").catch(() => {});
}

/** CPU seconds that this machine has spent so far, on whatever: servers and daemons are in it. */
export async function machineCpuSeconds(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

async function entriesOf(root: number): Promise<Entry[]> {
  const all = await Promise.all(
    (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(entryOf),
  );
  const found = all.filter((entry) => entry !== undefined);
  const inTree = new Set([root]);
  for (let before = 0; before !== inTree.size; ) {
    before = inTree.size;
    for (const { pid, parent } of found) if (inTree.has(parent)) inTree.add(pid);
  }
  return found.filter(({ pid }) => inTree.has(pid));
}

async function entryOf(name: string): Promise<Entry | undefined> {
  const text = await readOrNothing(`/proc/${name}/stat`);
  // The name of the program, in parentheses, may hold blanks.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 15) return undefined;
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number(name), parent: Number(fields[1]), ticks };
}

async function peakMb(pid: number): Promise<number> {
  const status = await readOrNothing(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

/** A process may end between being listed and being read. */
function readOrNothing(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => "");
}
