import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Beside } from "../migration/kill-case.ts";
import { CROWD_SCHEMA } from "./migrate-crowd-statements.ts";

const PROGRAM = fileURLToPath(new URL("./migrate-crowd-writer.ts", import.meta.url));

interface Member {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
}

/** Programs that write beside those whose ledgers are kept; one that is killed, by itself, comes again. */
export function crowdOf(members: number, seed: number): Beside {
  const running = new Map<number, Member>();
  let isStopping = false;
  let lives = 0;
  return {
    schema: CROWD_SCHEMA,
    async start({ path, side, environment }) {
      isStopping = false;
      const begin = async (number: number) => {
        const child = spawn(
          process.execPath,
          [PROGRAM, ...["--database", path, "--side", side, "--seed", `${seed + 1000 * ++lives}`]],
          { env: environment, stdio: ["pipe", "pipe", "inherit"] },
        );
        const exit = once(child, "exit");
        running.set(number, { child, exit });
        exit.then(([, signal]) => {
          if (signal === "SIGKILL" && !isStopping) void begin(number);
        });
        await Promise.race([once(child.stdout, "data"), exit]);
      };
      await Promise.all(Array.from({ length: members }, (_, number) => begin(number)));
    },
    async stop() {
      isStopping = true;
      for (const { child, exit } of running.values()) {
        child.stdin?.end();
        const [status, signal] = await exit;
        if (status !== 0 && signal !== "SIGKILL")
          throw new Error(`a program of the crowd ended with ${status}`);
      }
      running.clear();
    },
    kill() {
      isStopping = true;
      for (const { child } of running.values()) child.kill("SIGKILL");
    },
  };
}
