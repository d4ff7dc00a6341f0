import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Parts } from "./parts.ts";

/** What a bench is asked for. */
export interface BenchRequest {
  readonly workplace: Workplace;
  readonly runs: number;
  readonly parts: Parts;
  /** A tenth of the data: only to see that the bench works. */
  readonly small: boolean;
}

const lifeboat = fileURLToPath(new URL("../../packages/cli/bin/lifeboat.cjs", import.meta.url));

/** A folder for one run of a bench, which ends whatever was begun in it, and removes it. */
export class Workplace implements AsyncDisposable {
  readonly path: string;
  /** What could not be measured for want of a program, and how to get that. */
  readonly leftOut: string[] = [];
  readonly #endings: (() => Promise<unknown>)[] = [];

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Workplace> {
    const path = await mkdtemp(join(tmpdir(), "lifeboat-bench-"));
    // Servers run as another account, and have to get at what lies here.
    await chmod(path, 0o755);
    process.env.LIFEBOAT_STATE_DIRECTORY = join(path, "state");
    return new Workplace(path);
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Done when the bench is over, however it ends; the last one first. */
  atEnd(ending: () => Promise<unknown>): void {
    this.#endings.push(ending);
  }

  /** The command with a configuration and a repository of its own. */
  async command(
    name: string,
    configuration: object,
    repository = this.at(`${name}-repository`),
  ): Promise<Command> {
    const config = this.at(`${name}.config.json`);
    await mkdir(this.at("state"), { recursive: true });
    await writeFile(
      config,
      JSON.stringify({
        app: "bench",
        repository: { type: "filesystem", path: repository },
        ...configuration,
      }),
    );
    return new Command([process.execPath, lifeboat], config, repository);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ending of this.#endings.toReversed()) await ending();
    // Whoever was told to stop may write his last file meanwhile.
    await rm(this.path, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** How Lifeboat is called with one configuration. */
export class Command {
  /** Words for a shell, before the verb. */
  readonly line: string;
  readonly config: string;
  readonly repository: string;

  constructor(program: readonly string[], config: string, repository: string) {
    this.line = `${program.join(" ")} --config ${config}`;
    this.config = config;
    this.repository = repository;
  }

  /** Runs a verb and reads its document. */
  async json<T>(words: string): Promise<T> {
    const { stdout } = await execa("bash", ["-c", `exec ${this.line} ${words} --json`]);
    return JSON.parse(stdout) as T;
  }

  /** Whether a verb or option is built: the contract refuses what is not by NOT_AVAILABLE. */
  async knows(words: string): Promise<boolean> {
    const ran = await execa("bash", ["-c", `exec ${this.line} ${words} --json`], {
      reject: false,
      // What is built and runs until it is stopped, is.
      timeout: 3_000,
      killSignal: "SIGTERM",
    });
    return !`${ran.stdout}`.includes('"NOT_AVAILABLE"');
  }
}
