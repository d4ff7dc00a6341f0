import { spawn } from "node:child_process";
import { once } from "node:events";
import { machineCpuSeconds, peakMbOf } from "./processes.ts";

/** A command line for bash, run from nothing each time. */
export interface Contestant {
  readonly name: string;
  readonly command: string;
  /** Done before each run, untimed. */
  readonly before?: (() => Promise<unknown>) | undefined;
}

export interface Measured {
  readonly seconds: number;
  /** Of the command and the children that it waited for. */
  readonly cpuSeconds: number;
  /** Of the whole machine meanwhile: a server's and a daemon's work is in it. */
  readonly machineSeconds: number;
  /** Greatest memory of the command and its children together, in MB. */
  readonly peakMb: number;
  readonly stdout: string;
}

const SAMPLE_MS = 50;

/** Runs a command to its end, which must be a good one. */
export async function measure({ name, command, before }: Contestant): Promise<Measured> {
  await before?.();
  const machine = await machineCpuSeconds();
  const started = performance.now();
  const script = `set -o pipefail; TIMEFORMAT='bench-cpu %U %S'; time { ${command}; }`;
  const child = spawn("bash", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  const stdout = textOf(child.stdout);
  const stderr = textOf(child.stderr);
  let peakMb = 0;
  const watch = setInterval(async () => {
    peakMb = Math.max(peakMb, await peakMbOf(child.pid as number));
  }, SAMPLE_MS);
  const [code] = await once(child, "close");
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  const said = await stderr;
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${said}`);
  const [, user, system] = /bench-cpu ([\d.]+) ([\d.]+)/.exec(said) ?? [];
  return {
    seconds,
    cpuSeconds: Number(user) + Number(system),
    machineSeconds: (await machineCpuSeconds()) - machine,
    peakMb,
    stdout: await stdout,
  };
}

/**
 * Runs contestants in turn, so that whatever the machine does besides happens to all of them; who begins changes from
 * run to run. The results are in the order of the contestants.
 */
export async function inTurn<const T extends readonly Contestant[]>(
  contestants: T,
  runs: number,
): Promise<{ [K in keyof T]: Measured[] }> {
  const measured: Measured[][] = contestants.map(() => []);
  for (let run = 0; run < runs; run++)
    for (let turn = 0; turn < contestants.length; turn++) {
      const who = (run + turn) % contestants.length;
      measured[who]?.push(await measure(contestants[who] as Contestant));
    }
  return measured as { [K in keyof T]: Measured[] };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
