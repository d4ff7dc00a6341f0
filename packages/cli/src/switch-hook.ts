import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core/errors";
import { execa } from "execa";
import type { Hook } from "./configuration.ts";

/** What the product's switch is told, as variables of its environment or as the JSON that is posted. */
export interface SwitchFacts {
  readonly app: string;
  /** Where the product writes from now on. */
  readonly engine: "sqlite" | "postgres";
}

/** Only so much of what a hook printed goes into an error's details. */
const SHOWN_BYTES = 500;
/** What a hook has started may end in order for so long once its time is over. */
const GRACE_MS = 1000;
/** How long the last words of a hook that has ended may be on their way, where something that it started holds its output open. */
const LAST_WORDS_MS = 200;

/**
 * Runs the product's own switch. Its output goes to standard error; a stop signal, or the end of the budget, ends it with all that it
 * has started. What it leaves in the background when it ends by itself, such as the product, lives on. Failures are told
 * without its arguments, path, user and password, which often are secrets; its last words are in `details.said`.
 * @throws LifeboatError `HOOK_FAILED`
 */
export async function runSwitch(
  hook: Hook,
  facts: SwitchFacts,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (typeof hook === "object" && "url" in hook) await post(hook.url, facts, signal);
  else if (typeof hook === "string" && /^https?:\/\//.test(hook)) await post(hook, facts, signal);
  else await runCommand(hook, facts, signal);
}

async function runCommand(
  hook: string | readonly string[],
  facts: SwitchFacts,
  signal: AbortSignal,
): Promise<void> {
  const child = start(hook, facts);
  const { nodeChildProcess: node } = child;
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = `${said}${text}`.slice(-SHOWN_BYTES);
  });
  // Its exit, not the end of its output: what it leaves in the background may hold that open for as long as it lives.
  const exited = new Promise((resolve) => node.once("exit", resolve));
  const first = await Promise.race([child, exited, aborted(signal)]);
  if (first === "aborted") {
    await endGroup(child);
    signal.throwIfAborted();
  }
  const whole = await Promise.race([child, sleep(LAST_WORDS_MS, undefined, { ref: false })]);
  for (const output of [child.stdout, child.stderr]) output.destroy();
  if (node.exitCode === 0) return;
  throw failed(facts, `its command ${endOf(node, whole?.code)}`, whole?.cause, said.trim());
}

function endOf(
  { exitCode, signalCode }: Child["nodeChildProcess"],
  code: string | undefined,
): string {
  if (signalCode !== null) return `was ended by ${signalCode}`;
  return code === undefined ? `ended with exit status ${exitCode}` : `can't be started: ${code}`;
}

type Child = ReturnType<typeof start>;

/** In a group of its own, so that all of it can be ended. */
function start(hook: string | readonly string[], { app, engine }: SwitchFacts) {
  const [file = "", ...words] = typeof hook === "string" ? ["/bin/sh", "-c", hook] : hook;
  return execa(file, words, {
    env: { LIFEBOAT_APP: app, LIFEBOAT_ENGINE: engine },
    stdin: "ignore",
    stdout: ["pipe", process.stderr],
    stderr: ["pipe", process.stderr],
    buffer: false,
    reject: false,
    detached: true,
  });
}

function aborted(signal: AbortSignal): Promise<"aborted"> {
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve("aborted"), { once: true }),
  );
}

async function endGroup(child: Child): Promise<void> {
  kill(child, "SIGTERM");
  await Promise.race([child, sleep(GRACE_MS)]);
  kill(child, "SIGKILL");
  for (const output of [child.stdout, child.stderr]) output.destroy();
}

function kill({ pid }: Child, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch (cause) {
    // The group is gone already.
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}

async function post(address: string, facts: SwitchFacts, signal: AbortSignal): Promise<void> {
  const url = new URL(address);
  const { host } = url;
  const headers = { "content-type": "application/json", ...authorization(url) };
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(facts),
      // To a page that answers 200 to whoever is not logged in, perhaps.
      redirect: "manual",
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw failed(facts, `${host} can't be asked: ${reasonOf(cause)}`, cause);
  }
  await response.body?.cancel();
  if (!response.ok)
    throw failed(facts, `${host} answered with status ${response.status}`, undefined);
}

/** Takes user and password out of the URL, with which fetch refuses it. */
function authorization(url: URL): Record<string, string> {
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  url.username = "";
  url.password = "";
  if (user === "" && password === "") return {};
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

/** fetch says why only behind its own words. */
function reasonOf(cause: unknown): string {
  const { message, cause: behind } = cause as Error;
  return behind instanceof Error && behind.message !== "" ? behind.message : message;
}

/** @param said its last words: for whoever runs it, never for the record, since they may hold a secret */
function failed(
  { engine }: SwitchFacts,
  message: string,
  cause: unknown,
  said = "",
): LifeboatError {
  const key = engine === "postgres" ? "migrate.onCutover" : "migrate.onRollback";
  return new LifeboatError({
    code: "HOOK_FAILED",
    message: `${key}: ${message}`,
    remedy: `see ${key} of the configuration`,
    ...(said !== "" && { details: { said } }),
    cause,
  });
}
