import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, onTestFinished } from "vitest";
import type { Product } from "./products.ts";

/** A product's traffic in a process of its own, and what it was told is committed. */
export interface TrafficProcess {
  readonly ledger: readonly number[];
  /** Resolves when so many commits are acknowledged; throws when the process ends before. */
  acknowledged(count: number): Promise<void>;
  /** Sends the signal and waits for the end; gives the exit status, null after a kill. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null>;
}

export function startTraffic(
  product: Product,
  place: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): TrafficProcess {
  const child = spawn(process.execPath, [product.trafficProgram, ...place, "--rate", "500"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ledger: number[] = [];
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => {
    const { seq, at } = JSON.parse(line) as { seq: number; at: string };
    expect(new Date(at).toISOString()).toBe(at);
    ledger.push(seq);
  });
  const closed = once(child, "close");
  return {
    ledger,
    acknowledged: async (count) => {
      const ended = closed.then(() => {
        throw new Error(`traffic ended with ${child.exitCode}`);
      });
      ended.catch(() => {});
      while (ledger.length < count) await Promise.race([once(lines, "line"), ended]);
    },
    end: async (signal) => {
      child.kill(signal);
      await closed;
      return child.exitCode;
    },
  };
}
