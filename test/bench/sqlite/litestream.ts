import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { glob, rm, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { cpuSecondsOf } from "../processes.ts";
import type { Workplace } from "../workplace.ts";

const PACKAGE = "@flydotio/litestream-linux-x64@1.0.1";

/** Litestream's program from its npm package, fetched for this run; undefined where that does not work. */
export async function fetchLitestream(workplace: Workplace): Promise<string | undefined> {
  const own = process.env.BENCH_LITESTREAM;
  if (own) return own;
  try {
    await execa("npm", ["pack", "--silent", PACKAGE, "--pack-destination", workplace.path]);
    const [archive = ""] = await Array.fromAsync(glob(workplace.at("flydotio-*.tgz")));
    await execa("tar", ["-xzf", archive, "-C", workplace.path]);
    return workplace.at("package", "litestream");
  } catch {
    workplace.leftOut.push(
      `Litestream: \`npm pack ${PACKAGE}\` did not work here; fetch it by hand and name its program in BENCH_LITESTREAM`,
    );
    return undefined;
  }
}

/** `litestream replicate` of one database into a folder, until it is stopped. */
export class Litestream {
  readonly #program: string;
  readonly #config: string;
  readonly #replica: string;
  readonly #database: string;
  #child: ChildProcess | undefined;

  constructor(program: string, database: string, workplace: Workplace) {
    this.#program = program;
    this.#database = database;
    this.#config = workplace.at("litestream.yml");
    this.#replica = workplace.at("litestream-replica");
  }

  /** Its restore of the newest state into `to`, as words for a shell. */
  restoreCommand(to: string): string {
    return `${this.#program} restore -config ${this.#config} -o ${to} ${this.#database} && sync -f ${to}`;
  }

  /** Starts from nothing, as in its documentation: a segment each second. */
  async start(): Promise<void> {
    await rm(this.#replica, { recursive: true, force: true });
    await rm(`${this.#database}-litestream`, { recursive: true, force: true });
    await rm(this.#database.replace(/([^/]+)$/, ".$1-litestream"), {
      recursive: true,
      force: true,
    });
    await writeFile(
      this.#config,
      `dbs:\n  - path: ${this.#database}\n    replicas:\n      - path: ${this.#replica}\n        sync-interval: 1s\n`,
    );
    this.#child = spawn(this.#program, ["replicate", "-config", this.#config], { stdio: "ignore" });
    await once(this.#child, "spawn");
  }

  /** Seconds until its first snapshot has its name, and the CPU until then. */
  async firstSnapshot(): Promise<{ seconds: number; cpuSeconds: number }> {
    const started = performance.now();
    for (;;) {
      const [found] = await Array.fromAsync(
        glob(`${this.#replica}/generations/*/snapshots/*.snapshot.lz4`),
      );
      if (found) break;
      if (this.#child?.exitCode !== null) throw new Error("litestream ended before its snapshot");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return {
      seconds: (performance.now() - started) / 1000,
      cpuSeconds: await cpuSecondsOf(this.pid),
    };
  }

  /** Of the running program. */
  get pid(): number {
    return this.#child?.pid as number;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGINT");
    await gone;
  }
}
