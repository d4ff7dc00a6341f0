import { LifeboatError } from "@lifeboat/core/errors";
import { ExecaError, execa } from "execa";
import type { Hook } from "./configuration.ts";

/** What the product's switch is told, as variables of its environment or as the JSON that is posted. */
export interface SwitchFacts {
  readonly app: string;
  /** Where the product writes from now on. */
  readonly engine: "sqlite" | "postgres";
}

/** Only so much of what a hook printed goes into an error. */
const SHOWN_BYTES = 500;

/**
 * Runs the product's own switch. Its output goes to standard error; a stop signal, or the end of the budget, ends it.
 * @throws LifeboatError `HOOK_FAILED`
 */
export async function runSwitch(
  hook: Hook,
  facts: SwitchFacts,
  signal: AbortSignal,
): Promise<void> {
  if (typeof hook === "object" && "url" in hook) await post(hook.url, facts, signal);
  else if (typeof hook === "string" && /^https?:\/\//.test(hook)) await post(hook, facts, signal);
  else await runCommand(hook, facts, signal);
}

async function runCommand(
  hook: string | readonly string[],
  { app, engine }: SwitchFacts,
  signal: AbortSignal,
): Promise<void> {
  const [file = "", ...words] = typeof hook === "string" ? ["/bin/sh", "-c", hook] : hook;
  try {
    await execa(file, words, {
      env: { LIFEBOAT_APP: app, LIFEBOAT_ENGINE: engine },
      stdin: "ignore",
      stdout: ["pipe", process.stderr],
      stderr: ["pipe", process.stderr],
      cancelSignal: signal,
      forceKillAfterDelay: 1000,
    });
  } catch (cause) {
    // Its budget's end, or a signal, is told as such.
    signal.throwIfAborted();
    if (!(cause instanceof ExecaError)) throw cause;
    throw failed(`${file === "/bin/sh" ? String(hook) : file}: ${reasonOf(cause)}`, cause);
  }
}

function reasonOf({ exitCode, signal, stderr, originalMessage }: ExecaError): string {
  const said = String(stderr ?? "")
    .trim()
    .slice(-SHOWN_BYTES);
  const how =
    exitCode !== undefined
      ? `exit status ${exitCode}`
      : signal !== undefined
        ? `ended by ${signal}`
        : String(originalMessage);
  return said === "" ? how : `${how} (${said})`;
}

async function post(url: string, facts: SwitchFacts, signal: AbortSignal): Promise<void> {
  const { host } = new URL(url);
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(facts),
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw failed(`${host} can't be asked: ${(cause as Error).message}`, cause);
  }
  await response.body?.cancel();
  if (!response.ok) throw failed(`${host} answered with status ${response.status}`, undefined);
}

function failed(message: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "HOOK_FAILED",
    message,
    remedy: "see migrate.onCutover and migrate.onRollback of the configuration",
    cause,
  });
}
