import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { randomFrom } from "../support/random-from.ts";
import { nextScene, type Step } from "./crowd-scene.ts";
import { oneOf } from "./one-of.ts";

const MOST = 3;
const MEMBER = fileURLToPath(new URL("./crowd-member.ts", import.meta.url));

export interface CrowdInit {
  readonly path: string;
  /** For files beside the database. */
  readonly folder: string;
  readonly random: () => number;
  /** Running processes, for whoever has to end them. */
  readonly started: Set<ChildProcess>;
}

/**
 * Other processes that are at work on a product's database at once, of our SQLite and of the system's `sqlite3` program: they commit, spill
 * and roll back, die in the midst of it, checkpoint in every mode, read for long, vacuum, open, and close last.
 */
export class Crowd {
  readonly #init: CrowdInit;
  readonly #members = new Set<Member>();
  #damage: string | undefined;

  constructor(init: CrowdInit) {
    this.#init = init;
  }

  /** Others come and go. @throws Error when one of them found the database damaged */
  async change(): Promise<void> {
    const { random } = this.#init;
    const wanted = Math.floor(random() * (MOST + 1));
    for (const member of this.#members)
      if (this.#members.size > wanted || random() < 0.3) await this.#end(member);
    while (this.#members.size < wanted) {
      const seed = Math.floor(random() * 2 ** 32);
      this.#members.add(random() < 0.5 ? this.#ofOurs(seed) : this.#ofTheirs(seed));
    }
    this.#assertWhole();
  }

  /** All of them go, in the midst of whatever they do. @throws Error as {@link change} */
  async leave(): Promise<void> {
    for (const member of this.#members) await this.#end(member);
    this.#assertWhole();
  }

  #assertWhole(): void {
    if (this.#damage !== undefined)
      throw new Error(`one of the crowd found the database itself damaged: ${this.#damage}`);
  }

  async #end(member: Member): Promise<void> {
    this.#members.delete(member);
    member.gone.abort();
    await member.ended;
  }

  #ofOurs(seed: number): Member {
    const { path, folder } = this.#init;
    return this.#member(async (gone) => {
      // It dies by itself too, and another one comes.
      for (let life = 0; !gone.aborted; life++) {
        const args = [MEMBER, path, folder, String(seed + life)];
        await this.#run(process.execPath, args, { gone, name: "better-sqlite3" });
      }
    });
  }

  #ofTheirs(seed: number): Member {
    const { path, folder } = this.#init;
    const random = randomFrom(seed);
    return this.#member(async (gone) => {
      while (!gone.aborted) {
        const timeout = `.timeout ${oneOf(random, [0, 100, 3000])}`;
        const scene = [...nextScene(random, folder), ...nextScene(random, folder)];
        const args = ["-batch", "-bail", "-cmd", timeout, path, ...scene.map(asArgument)];
        const within = random() < 0.2 ? random() * 300 : undefined;
        await this.#run("sqlite3", args, { gone, within, name: "sqlite3" });
        await sleep(random() * 150);
      }
    });
  }

  #member(live: (gone: AbortSignal) => Promise<void>): Member {
    const gone = new AbortController();
    return { gone, ended: live(gone.signal) };
  }

  /** Until it ends, is killed, or has lived for so many milliseconds. */
  async #run(
    program: string,
    args: readonly string[],
    until: { readonly gone: AbortSignal; readonly within?: number | undefined; name: string },
  ): Promise<void> {
    const { started } = this.#init;
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    started.add(child);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const kill = () => child.kill("SIGKILL");
    const timer = until.within === undefined ? undefined : setTimeout(kill, until.within);
    until.gone.addEventListener("abort", kill);
    if (until.gone.aborted) kill();
    await once(child, "close");
    until.gone.removeEventListener("abort", kill);
    clearTimeout(timer);
    started.delete(child);
    if (/malformed|not a database/.test(said)) this.#damage ??= `${until.name}: ${said.trim()}`;
  }
}

interface Member {
  readonly gone: AbortController;
  readonly ended: Promise<void>;
}

/** For the `sqlite3` program, which does each of its arguments by itself. */
function asArgument(step: Step): string {
  if (typeof step === "string") return step;
  if ("pauseMs" in step) return `.shell sleep ${step.pauseMs / 1000}`;
  if ("remove" in step) return `.shell rm -f ${step.remove}`;
  return ".shell kill -9 $PPID";
}
