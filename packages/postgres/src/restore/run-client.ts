import { basename } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import type { ProgramEnvironment } from "../basebackup/libpq-environment.ts";

/**
 * Runs pg_dump or pg_restore for an extraction.
 * @throws LifeboatError `EXTRACT_FAILED` with the program's own words
 */
export async function runClient(
  program: string,
  args: readonly string[],
  { env, signal }: { readonly env: ProgramEnvironment; readonly signal: AbortSignal },
): Promise<void> {
  const { failed, stderr } = await execa(program, [...args], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    reject: false,
    cancelSignal: signal,
  });
  signal.throwIfAborted();
  if (!failed) return;
  const name = basename(program);
  const lines = stderr.split("\n").filter((line) => line.startsWith(`${name}: `));
  throw new LifeboatError({
    code: "EXTRACT_FAILED",
    message: `${name} failed: ${lines.map((line) => line.slice(name.length + 2)).join("; ") || stderr.trim()}`,
    remedy: "mend what it names",
    details: { program: name },
  });
}
