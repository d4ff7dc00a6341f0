import { mkdtempDisposable, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

export const BIN = fileURLToPath(new URL("../../packages/cli/bin/lifeboat.cjs", import.meta.url));

/** What a run of the command left behind for its caller. */
export interface Ran {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of a test's own, in which the command runs: its state is kept there too. */
export class Place implements AsyncDisposable {
  readonly path: string;
  readonly #remove: () => Promise<void>;

  private constructor(path: string, remove: () => Promise<void>) {
    this.path = path;
    this.#remove = remove;
  }

  static async make(): Promise<Place> {
    const { path, remove } = await mkdtempDisposable(join(tmpdir(), "lifeboat-test-cli-"));
    return new Place(path, remove);
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  async write(name: string, content: unknown): Promise<string> {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await writeFile(this.at(name), text);
    return this.at(name);
  }

  /** The environment of every command here; nothing of a test gets into the real home. */
  get environment(): Record<string, string> {
    return { LIFEBOAT_STATE_DIRECTORY: this.at("state"), NO_COLOR: "1" };
  }

  /** Runs `lifeboat` as a process of its own, with this folder, or one below it, as its working directory. */
  async run(words: readonly string[], env: Record<string, string> = {}, below = "."): Promise<Ran> {
    const { exitCode, stdout, stderr } = await execa(process.execPath, [BIN, ...words], {
      cwd: this.at(below),
      env: { ...this.environment, ...env },
      reject: false,
      stripFinalNewline: false,
    });
    return { status: exitCode, stdout, stderr };
  }

  /** Runs the command while the repository takes no record of a migration. */
  async runUnrecorded(words: readonly string[], app = "shop"): Promise<Ran> {
    const records = this.at("repository", app, "migrations");
    await rename(records, `${records}-aside`);
    await writeFile(records, "in the way");
    try {
      return await this.run(words);
    } finally {
      await rm(records);
      await rename(`${records}-aside`, records);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#remove();
  }
}

/** The error that a run with `--json` printed; fails when anything else stood on stdout. */
export function errorOf(ran: Ran): {
  code: string;
  message: string;
  remedy: string;
  details: Record<string, unknown>;
} {
  const { error, ...rest } = JSON.parse(ran.stdout);
  if (Object.keys(rest).length > 0 || error === undefined)
    throw new Error(`not an error document: ${ran.stdout}`);
  return error;
}
