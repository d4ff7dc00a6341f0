import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";

/** A command line for the shell, run from nothing each time. */
export interface Contestant {
  readonly name: string;
  readonly command: string;
  /** Undone before each run, untimed. */
  readonly before?: () => Promise<void>;
}

export interface Measured {
  readonly seconds: number;
  /** The greatest of any one process, in MB; 0 when it was over before it could be read. */
  readonly peakMb: number;
}

export interface Paired {
  readonly ours: readonly Measured[];
  readonly theirs: readonly Measured[];
  /** Our seconds over theirs, run by run. */
  readonly ratios: readonly number[];
}

/** Runs two commands in turn, so that whatever the machine does besides happens to both. */
export async function pair(ours: Contestant, theirs: Contestant, runs: number): Promise<Paired> {
  const measured: { ours: Measured[]; theirs: Measured[] } = { ours: [], theirs: [] };
  for (let run = 0; run < runs; run++) {
    const first = run % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const side of first) measured[side].push(await measure(side === "ours" ? ours : theirs));
  }
  const ratios = measured.ours.map(
    ({ seconds }, run) => seconds / (measured.theirs[run] as Measured).seconds,
  );
  return { ...measured, ratios };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

/** `1.04 (0.97-1.10)` */
export function spread(values: readonly number[], digits = 2): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}-${most.toFixed(digits)})`;
}

async function measure({ name, command, before }: Contestant): Promise<Measured> {
  await before?.();
  const started = performance.now();
  const child = spawn("bash", ["-c", `set -o pipefail; exec ${command}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  let peakMb = 0;
  const watch = setInterval(async () => {
    peakMb = Math.max(peakMb, await peakOf(child.pid as number));
  }, 20);
  const [code] = await once(child, "close");
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${said}`);
  return { seconds, peakMb };
}

/** The kernel keeps the mark itself (proc(5), VmHWM), so reading it now and then is enough. */
async function peakOf(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    // It has just ended: what was read before stands.
    return 0;
  }
}
